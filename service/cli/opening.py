"""Opening what the commands work on, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.errors import BundleError

if TYPE_CHECKING:
    from service.audio import AudioLimits
    from service.bundle import Bundle
    from service.encoder import Encoder
    from service.library import Library
    from service.search import Searcher
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
    from service.bundle import load_bundle

    check_bundle(settings)
    return load_bundle(settings.bundle)


def open_encoder(bundle: Bundle, settings: Settings) -> Encoder:
    """Load the encoder of a bundle.

    Raises:
        StartupError: The bundle or the device cannot be used.
    """
    from service.encoder import Encoder

    return Encoder.open(bundle, device=settings.device, threads=settings.threads)


@contextmanager
def open_library(settings: Settings, bundle: Bundle, *, create: bool) -> Iterator[Library]:
    """Open the library for the encoder of a bundle, and close it in the end.

    Raises:
        LibraryError: It cannot be opened, or another encoder embedded its clips.
    """
    from service.library import Library

    info = bundle.manifest.encoder
    library = Library.open(
        settings.library,
        fingerprint=info.fingerprint,
        mean=bundle.mean,
        precision=info.precision,
        create=create,
    )
    try:
        yield library
    finally:
        library.close()


def audio_limits(settings: Settings) -> AudioLimits:
    """Return how much one file may hold."""
    from service.audio import AudioLimits

    return AudioLimits(max_seconds=settings.max_seconds, max_samples=settings.max_samples)


@contextmanager
def open_searcher(settings: Settings) -> Iterator[Searcher]:
    """Open bundle, encoder and library for searching.

    Raises:
        StartupError: One of them cannot be had.
    """
    from service.batching import AtOnce
    from service.hearing import Ear, HearingLimits
    from service.search import Searcher
    from service.sounds import Listener

    bundle = open_bundle(settings)
    encoder = open_encoder(bundle, settings)
    limits = HearingLimits(audio_limits(settings), settings.max_windows)
    with open_library(settings, bundle, create=False) as library:
        listener = Listener(Ear(encoder, AtOnce(encoder), limits=limits), library)
        yield Searcher(encoder, library, listener, max_k=settings.max_k)
