"""Opening what the commands work on, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.errors import BundleError

if TYPE_CHECKING:
    from service.audio.decoding import AudioLimits
    from service.bundle.files import Bundle
    from service.inference.embedding_space import Space
    from service.inference.encoder import Encoder
    from service.inference.file_embedder import FileEmbedder
    from service.inference.pooling import Windowing
    from service.inference.towers import Towers
    from service.library.library import Library
    from service.retrieval.searcher import Searcher
    from service.settings import Settings


def check_bundle(settings: Settings) -> None:
    """Do nothing if there is something at the place of the bundle.

    Raises:
        BundleError: There is nothing; the message says what to do.
    """
    if not settings.bundle.exists():
        raise BundleError(
            f"there is no bundle at {settings.bundle}; name one with --bundle or MINUEND_BUNDLE"
        )


def open_bundle(settings: Settings) -> Bundle:
    """Read and verify the bundle.

    Raises:
        BundleError: There is none, or it is damaged.
    """
    from service.bundle.files import load_bundle

    check_bundle(settings)
    return load_bundle(settings.bundle)


def open_encoder(bundle: Bundle, settings: Settings) -> Encoder:
    """Load the encoder of a bundle in the precision of the settings, and try it.

    Raises:
        StartupError: The bundle or the device cannot be used.
    """
    from functools import partial

    from service.inference.encoder import Encoder
    from service.inference.precision import open_checked

    opener = partial(Encoder.open, device=settings.device, threads=settings.threads)
    return open_checked(bundle, settings.precision, opener)


def open_towers(bundle: Bundle, settings: Settings) -> Towers | None:
    """Load the towers of a bundle, None if it has none.

    Raises:
        StartupError: The bundle or the device cannot be used.
    """
    from service.inference.towers import Towers

    return Towers.open(bundle, device=settings.device, threads=settings.threads)


def open_space(bundle: Bundle, settings: Settings) -> Space:
    """Load what the search index of a bundle takes, and no more.

    Raises:
        StartupError: The bundle or the device cannot be used.
    """
    from service.inference.embedding_space import make_space
    from service.inference.towers import AudioTower

    info = bundle.manifest.towers
    if info is None:
        return make_space(bundle, None)
    tower = AudioTower.open(bundle, info, device=settings.device, threads=settings.threads)
    return make_space(bundle, tower)


@contextmanager
def open_library(
    settings: Settings,
    encoder: Encoder,
    space: Space,
    *,
    create: bool = False,
    reembedding: bool = False,
) -> Iterator[Library]:
    """Open the library for an encoder, and close it in the end.

    Raises:
        LibraryError: It cannot be opened, or clips of it await the encoder; unless they are to be
            embedded now.
    """
    from service.library.library import Library

    library = Library.open(
        settings.library,
        space=space,
        precision=encoder.precision,
        create=create,
        reembedding=reembedding,
    )
    try:
        yield library
    finally:
        library.close()


def audio_limits(settings: Settings) -> AudioLimits:
    """Return how much one file may hold."""
    from service.audio.decoding import AudioLimits

    return AudioLimits(max_seconds=settings.max_seconds, max_samples=settings.max_samples)


def open_embedder(encoder: Encoder, settings: Settings) -> FileEmbedder:
    """Return what decodes and embeds files, one run at a time."""
    from service.inference.batcher import SynchronousBatcher
    from service.inference.file_embedder import FileEmbedder, RequestLimits

    limits = RequestLimits(audio_limits(settings), settings.max_windows)
    return FileEmbedder(encoder, SynchronousBatcher(encoder), limits=limits)


def windowing(settings: Settings) -> Windowing:
    """Return how the clips of the library are cut into windows."""
    from service.library.upload import library_windowing

    return library_windowing(settings.window_s)


@contextmanager
def open_searcher(settings: Settings) -> Iterator[Searcher]:
    """Open bundle, encoder, towers and library for searching.

    Raises:
        StartupError: One of them cannot be had.
    """
    from service.inference.embedding_space import make_space
    from service.retrieval.change_detector import ChangeDetector
    from service.retrieval.inputs import InputEmbedder
    from service.retrieval.searcher import Searcher

    bundle = open_bundle(settings)
    encoder = open_encoder(bundle, settings)
    towers = open_towers(bundle, settings)
    detector = ChangeDetector.open(bundle)
    space = make_space(bundle, towers.audio if towers else None)
    with open_library(settings, encoder, space) as library:
        inputs = InputEmbedder(open_embedder(encoder, settings), library)
        yield Searcher(
            encoder,
            library,
            inputs,
            towers=towers,
            detector=detector,
            max_k=settings.max_k,
        )
