"""Everything that a running service holds, opened in order and closed in reverse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ParamSpec, TypeVar

import anyio

from service.audio.decoding import AudioLimits
from service.bundle.files import Bundle, load_bundle
from service.errors import NotReadyError
from service.inference.batcher import Batcher
from service.inference.cache import EmbeddingCache
from service.inference.embedding_space import make_space
from service.inference.encoder import Encoder
from service.inference.file_embedder import FileEmbedder, RequestLimits
from service.inference.onnx_session import Tuning, n_cores
from service.inference.precision import open_checked
from service.inference.towers import Towers
from service.library.library import Library
from service.library.upload import ClipUploader, library_windowing
from service.observability.metrics import Metrics
from service.pictures.gallery import Gallery
from service.pictures.map import LibraryMap
from service.retrieval.change_detector import ChangeDetector
from service.retrieval.inputs import InputEmbedder
from service.retrieval.searcher import Searcher
from service.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

MAX_DEFAULT_RUNS = 4
LOOKUPS = 16
"""Reads of the catalogue under way at once; they do not queue behind requests with audio."""


@dataclass(slots=True)
class Services:
    """The parts of one running service.

    Attributes:
        towers: None if the bundle has none.
        ready: Whether new requests are welcome.
    """

    settings: Settings
    bundle: Bundle
    encoder: Encoder
    towers: Towers | None
    batcher: Batcher
    library: Library
    searcher: Searcher
    embedder: FileEmbedder
    uploader: ClipUploader
    gallery: Gallery
    atlas: LibraryMap
    ready: bool = False
    _workers: anyio.CapacityLimiter = field(init=False)
    _lookups: anyio.CapacityLimiter = field(init=False)

    def __post_init__(self) -> None:
        self._workers = anyio.CapacityLimiter(self.settings.max_requests)
        self._lookups = anyio.CapacityLimiter(LOOKUPS)

    @classmethod
    def open(cls, settings: Settings, metrics: Metrics) -> Services:
        """Verify the bundle, open and try the encoder and the towers, then open the library.

        Args:
            settings: Where they are and what they may use.
            metrics: Counts what they do.

        Raises:
            StartupError: One of them cannot be had.
        """
        bundle = load_bundle(settings.bundle)
        encoder = open_checked(
            bundle,
            settings.precision,
            partial(
                Encoder.open,
                device=settings.device,
                threads=settings.threads,
                runs=settings.runs or min(n_cores(), MAX_DEFAULT_RUNS),
                tuning=Tuning(spinning=settings.spinning, arena=settings.arena),
            ),
        )
        towers = Towers.open(bundle, device=settings.device, threads=settings.threads)
        if towers is not None:
            towers.check(bundle)
        detector = ChangeDetector.open(bundle)
        library = Library.open(
            settings.library,
            space=make_space(bundle, towers.audio if towers else None),
            precision=encoder.precision,
        )
        library.index.recall_monitor.on_recall = metrics.observe_recall
        library.index.refresh()
        metrics.bundle.labels(bundle.manifest.id, encoder.fingerprint, encoder.provider).set(1)
        batcher = Batcher(
            encoder,
            runs=encoder.runs,
            batch_s=settings.batch_s,
            on_run=metrics.observe_run,
        )
        metrics.queued_s.set_function(lambda: batcher.waiting_s)
        audio = AudioLimits(max_seconds=settings.max_seconds, max_samples=settings.max_samples)
        embedder = FileEmbedder(
            encoder,
            batcher,
            limits=RequestLimits(audio, settings.max_windows),
            decoders=settings.decoders,
            cache=EmbeddingCache(settings.cache_bytes, on_lookup=metrics.observe_lookup),
            on_input=metrics.observe_input,
        )
        inputs = InputEmbedder(embedder, library)
        return cls(
            settings=settings,
            bundle=bundle,
            encoder=encoder,
            towers=towers,
            batcher=batcher,
            library=library,
            searcher=Searcher(
                encoder,
                library,
                inputs,
                towers=towers,
                detector=detector,
                max_k=settings.max_k,
            ),
            embedder=embedder,
            uploader=ClipUploader(embedder, library, library_windowing(settings.window_s)),
            gallery=Gallery(
                library,
                sample_rate=encoder.sample_rate,
                limits=audio,
                max_waiting=settings.max_requests,
            ),
            atlas=LibraryMap(library),
        )

    def close(self) -> None:
        """Stop encoding, save the library's snapshot and close it."""
        self.ready = False
        self.batcher.close()
        try:
            self.library.index.save()
        finally:
            self.library.close()

    @property
    def identity(self) -> dict[str, str]:
        """Which bundle answers."""
        return {"id": self.bundle.manifest.id, "fingerprint": self.encoder.fingerprint}

    def check_ready(self) -> None:
        """Do nothing if new requests are welcome.

        Raises:
            NotReadyError: They are not.
        """
        if not self.ready:
            raise NotReadyError("the service is starting or stopping")

    async def work(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking work in a thread of its own, one for each request that is let in.

        Most of these threads wait most of the time: decoding takes turns, and so does the encoder.
        """
        return await anyio.to_thread.run_sync(
            partial(function, *args, **kwargs), limiter=self._workers
        )

    async def look_up(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a short blocking call of the library in a thread."""
        return await anyio.to_thread.run_sync(
            partial(function, *args, **kwargs), limiter=self._lookups
        )
