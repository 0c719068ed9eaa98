"""Everything that a running service holds, opened in order and closed in reverse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ParamSpec, TypeVar

import anyio

from service.audio import AudioLimits
from service.bulk import BulkReader
from service.bundle import Bundle, load_bundle
from service.encoder import Encoder
from service.errors import NotReadyError
from service.intake import Intake
from service.library import Library
from service.metrics import Metrics
from service.search import Searcher
from service.settings import Settings
from service.sounds import Listener
from service.space import make_space
from service.towers import Towers

P = ParamSpec("P")
T = TypeVar("T")

LOOKUPS = 16
"""Reads of the catalogue under way at once; they do not queue behind requests with audio."""


@dataclass(slots=True)
class Core:
    """The parts of one running service.

    Attributes:
        towers: None if the bundle has none.
        ready: Whether new requests are welcome.
    """

    settings: Settings
    bundle: Bundle
    encoder: Encoder
    towers: Towers | None
    library: Library
    searcher: Searcher
    listener: Listener
    intake: Intake
    bulk: BulkReader
    ready: bool = False
    _workers: anyio.CapacityLimiter = field(init=False)
    _lookups: anyio.CapacityLimiter = field(init=False)

    def __post_init__(self) -> None:
        self._workers = anyio.CapacityLimiter(self.settings.workers)
        self._lookups = anyio.CapacityLimiter(LOOKUPS)

    @classmethod
    def open(cls, settings: Settings, metrics: Metrics) -> Core:
        """Verify the bundle, open and try the encoder and the towers, then open the library.

        Args:
            settings: Where they are and what they may use.
            metrics: Counts what they do.

        Raises:
            StartupError: One of them cannot be had.
        """
        bundle = load_bundle(settings.bundle)
        encoder = Encoder.open(bundle, device=settings.device, threads=settings.threads)
        encoder.check(bundle)
        towers = Towers.open(bundle, device=settings.device, threads=settings.threads)
        if towers is not None:
            towers.check(bundle)
        library = Library.open(
            settings.library,
            space=make_space(bundle, towers.audio if towers else None),
            precision=bundle.manifest.encoder.precision,
        )
        library.refresh()
        metrics.bundle.labels(bundle.manifest.id, encoder.fingerprint, encoder.provider).set(1)
        limits = AudioLimits(max_seconds=settings.max_seconds, max_samples=settings.max_samples)
        listener = Listener(
            encoder,
            library,
            limits=limits,
            max_windows=settings.max_windows,
            on_audio=metrics.audio_s.inc,
        )
        return cls(
            settings=settings,
            bundle=bundle,
            encoder=encoder,
            towers=towers,
            library=library,
            searcher=Searcher(encoder, library, listener, towers=towers, max_k=settings.max_k),
            listener=listener,
            intake=Intake(listener, library),
            bulk=BulkReader(
                dim=encoder.dim,
                fingerprint=encoder.fingerprint,
                max_clips=settings.max_bulk_clips,
            ),
        )

    def close(self) -> None:
        """Save the library's snapshot and close it."""
        self.ready = False
        try:
            self.library.save_snapshot()
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
        """Run blocking work with audio in a thread, at most `workers` at once."""
        return await anyio.to_thread.run_sync(
            partial(function, *args, **kwargs), limiter=self._workers
        )

    async def look_up(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a short blocking call of the library in a thread."""
        return await anyio.to_thread.run_sync(
            partial(function, *args, **kwargs), limiter=self._lookups
        )
