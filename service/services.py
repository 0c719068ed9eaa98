"""The composition root: opens the parts of the service, for the server and for the shell alike.

Functions import what they open, so that a command loads no more than it needs. They raise a
`StartupError` if the bundle, the device or the library cannot be used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.concurrency.thread_pools import ThreadPools
from service.errors import NotReadyError
from service.loading import Models, open_bundle, open_encoder, open_models, open_space

if TYPE_CHECKING:
    from service.audio.decoder import Decoder
    from service.audio.decoder_choice import DecoderChoice
    from service.audio.decoding import AudioLimits
    from service.inference.batcher import Batcher
    from service.inference.embedding_space import Space
    from service.inference.encoder import Encoder
    from service.inference.file_embedder import FileEmbedder
    from service.library.file_reader import FileReader
    from service.library.library import Library
    from service.library.opening import Creation
    from service.library.upload import ClipUploader
    from service.observability.metrics import Metrics
    from service.pictures.gallery import Gallery
    from service.pictures.map import LibraryMap
    from service.retrieval.searcher import Searcher
    from service.settings import Settings

PARTS = ("encoder", "catalogue", "index", "storage")  # of `Services.faults`


def library_creation(settings: Settings) -> Creation:
    """Return where a library may be made."""
    from service.library.opening import Creation

    besides = [] if settings.keys is None else [settings.keys]
    return Creation(if_empty=settings.create, besides=besides)


def open_library(
    space: Space,
    precision: str,
    settings: Settings,
    *,
    create: Creation | bool = False,
    reembedding: bool = False,
) -> Library:
    """Open the library of the settings; see `Library.open`."""
    from service.library.library import Library

    return Library.open(
        settings.library,
        space=space,
        precision=precision,
        create=create,
        reembedding=reembedding,
        reserve_bytes=settings.reserve_bytes,
    )


@contextmanager
def open_library_and_reader(
    settings: Settings, *, create: Creation | bool = False, reembedding: bool = False
) -> Iterator[tuple[Library, FileReader]]:
    """Open the library, and a reader that embeds files for it, without a server."""
    from service.library.file_reader import FileReader
    from service.library.upload import library_windowing

    bundle = open_bundle(settings)
    encoder = open_encoder(bundle, settings, batched=True)
    space, windowing = open_space(bundle, settings), library_windowing(settings.window_s)
    library = open_library(
        space, encoder.precision, settings, create=create, reembedding=reembedding
    )
    with (
        closing(library),
        FileReader(encoder, limits=audio_limits(settings), windowing=windowing) as reader,
    ):
        yield library, reader


def audio_limits(settings: Settings) -> AudioLimits:
    """Return the limits of one audio file."""
    from service.audio.decoding import AudioLimits

    return AudioLimits(max_seconds=settings.max_seconds, max_samples=settings.max_samples)


def open_embedder(encoder: Encoder, settings: Settings) -> FileEmbedder:
    """Return the decoder and embedder of files without a server: no batching and no cache."""
    from service.inference.batcher import SynchronousBatcher
    from service.inference.file_embedder import FileEmbedder, RequestLimits

    limits = RequestLimits(audio_limits(settings), settings.max_windows)
    return FileEmbedder(encoder, SynchronousBatcher(encoder), limits=limits)


def make_searcher(
    models: Models, embedder: FileEmbedder, library: Library | None, settings: Settings
) -> Searcher:
    """Return the searcher; without a library it compares sounds and finds no clips."""
    from service.retrieval.inputs import InputEmbedder
    from service.retrieval.searcher import Searcher

    return Searcher(
        models.encoder,
        models.space,
        InputEmbedder(embedder, library),
        towers=models.towers,
        detector=models.detector,
        max_k=settings.max_k,
    )


@contextmanager
def open_searcher(settings: Settings, *, with_library: bool = True) -> Iterator[Searcher]:
    """Open bundle, models and library to search without a server; see `make_searcher`."""
    models = open_models(open_bundle(settings), settings)
    embedder = open_embedder(models.encoder, settings)
    if not with_library:
        yield make_searcher(models, embedder, None, settings)
        return
    with closing(open_library(models.space, models.encoder.precision, settings)) as library:
        yield make_searcher(models, embedder, library, settings)


@dataclass(slots=True)
class Services:
    """The parts of one running service.

    Attributes:
        threads: Threads for each kind of blocking work.
        ready: Whether new requests are accepted.
    """

    settings: Settings
    models: Models
    batcher: Batcher
    library: Library
    searcher: Searcher
    embedder: FileEmbedder
    uploader: ClipUploader
    gallery: Gallery
    library_map: LibraryMap
    threads: ThreadPools
    decoding: DecoderChoice
    ready: bool = False

    @classmethod
    def open(cls, settings: Settings, metrics: Metrics) -> Services:
        """Verify the bundle, load its models, check their known answers and open the library."""
        from service.audio.decoder_choice import DecoderChoice

        decoding = DecoderChoice(
            settings.decode,
            settings.decoders,
            deadline_s=settings.deadline_s,
            on_death=metrics.decoder_deaths.inc,
        )
        with ExitStack() as opened:
            opened.callback(decoding.close)
            services = cls._open(settings, metrics, decoding)
            opened.pop_all()
        return services

    @classmethod
    def _open(cls, settings: Settings, metrics: Metrics, decoding: DecoderChoice) -> Services:
        from service.bundle.files import load_bundle
        from service.library.upload import ClipUploader, library_windowing
        from service.pictures.gallery import Gallery
        from service.pictures.map import LibraryMap

        bundle = load_bundle(settings.bundle)
        models = open_models(bundle, settings, batched=True)
        encoder, towers = models.encoder, models.towers
        if towers is not None:
            towers.check(bundle)
        library = open_library(
            models.space, encoder.precision, settings, create=library_creation(settings)
        )
        decoder = decoding.choose()
        library.index.recall_monitor.on_recall = metrics.observe_recall
        library.index.refresh()
        library.scrub.start(settings.scrub_days)
        metrics.bundle.labels(bundle.manifest.id, encoder.fingerprint, encoder.provider).set(1)
        batcher, embedder = _open_batched_embedder(encoder, decoder, settings, metrics)
        return cls(
            settings=settings,
            models=models,
            batcher=batcher,
            library=library,
            searcher=make_searcher(models, embedder, library, settings),
            embedder=embedder,
            uploader=ClipUploader(embedder, library, library_windowing(settings.window_s)),
            gallery=Gallery(
                library,
                sample_rate=encoder.sample_rate,
                limits=audio_limits(settings),
                decoder=decoder,
            ),
            library_map=LibraryMap(library),
            threads=ThreadPools(settings.max_requests),
            decoding=decoding,
        )

    def close(self) -> None:
        """Stop encoding, save the search index and close the library."""
        self.ready = False
        self.batcher.close()
        self.decoding.close()
        try:
            self.library.index.save()
        finally:
            self.library.close()

    @property
    def identity(self) -> dict[str, str]:
        """Id of the bundle and fingerprint of its encoder."""
        bundle, encoder = self.models.bundle, self.models.encoder
        return {"id": bundle.manifest.id, "fingerprint": encoder.fingerprint}

    def check_ready(self) -> None:
        """Raise a `NotReadyError` unless new requests are accepted."""
        if not self.ready:
            stopped = "the service is starting or stopping"
            raise NotReadyError(stopped, parts={"service": stopped})

    def faults(self) -> dict[str, str]:
        """Return the parts of the service that do not work now, with the reasons."""
        ended = "a thread that encodes has ended; restart the service"
        encoder = {} if self.batcher.is_working else {"encoder": ended}
        return {**self.library.health.faults(), **encoder}


def _open_batched_embedder(
    encoder: Encoder, decoder: Decoder, settings: Settings, metrics: Metrics
) -> tuple[Batcher, FileEmbedder]:
    """Return an embedder with a cache, and the batcher that all requests share."""
    from service.inference.batcher import Batcher
    from service.inference.cache import EmbeddingCache
    from service.inference.file_embedder import Decoders, FileEmbedder, RequestLimits

    batcher = Batcher(
        encoder, runs=encoder.runs, batch_s=settings.batch_s, on_run=metrics.observe_run
    )
    metrics.queued_s.set_function(lambda: batcher.waiting_s)
    return batcher, FileEmbedder(
        encoder,
        batcher,
        limits=RequestLimits(audio_limits(settings), settings.max_windows),
        decoders=Decoders(settings.decoders, decoder),
        cache=EmbeddingCache(settings.cache_bytes, on_lookup=metrics.observe_lookup),
        on_input=metrics.observe_input,
    )
