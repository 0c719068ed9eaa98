"""Check of the whole library for damage in the background of a service, again and again.

It is slow on purpose: a batch, then a pause, so that one pass takes at most the time of the
setting and requests do not notice it. Progress is kept in the library, so a restart continues it.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from pathlib import Path
from threading import Event

from service.catalog.catalog import Catalog
from service.catalog.damage import PARTS
from service.concurrency.background_task import BackgroundTask
from service.errors import ServiceError
from service.library.opening import SCRUB_PROGRESS
from service.library.verify import Progress, Verifier, now

DAY_S = 86_400.0
FIRST_WAIT_S = 60.0
"""Time after the start of the service, which has other work then [s]."""
SLOWEST_S = 1.0
"""Longest pause for one row or file [s]; a small library takes less time than the setting."""
RETRY_S = 3600.0
"""Pause after a pass that could not go on [s]."""

_LOGGER = logging.getLogger(__name__)


class Scrub:
    """Checks one library in a thread of its own, once it is started.

    Args:
        library: Folder of the library.
        catalog: Its catalogue; damaged parts are noted in it.

    Attributes:
        progress: How far the present pass has come.
    """

    def __init__(self, library: Path, catalog: Catalog) -> None:
        self._library = library
        self._catalog = catalog
        self._task = BackgroundTask()
        self._closing = Event()
        self.progress = Progress()

    @property
    def completed_s(self) -> float:
        """Time when a pass was complete for the last time [s since 1970]; 0 if none was."""
        completed_at = self.progress.completed_at
        return datetime.fromisoformat(completed_at).timestamp() if completed_at else 0.0

    def start(self, days: float, *, first_wait_s: float = FIRST_WAIT_S) -> None:
        """Start to check the library, once in so many days; never if that is 0."""
        if days > 0:
            self._task.start(lambda is_stopped: self._run(days * DAY_S, first_wait_s))

    def close(self) -> None:
        """Stop, and keep the progress; no start may follow."""
        self._closing.set()
        self._task.stop()

    def _run(self, period_s: float, first_wait_s: float) -> None:
        wait_s = first_wait_s
        while not self._closing.wait(wait_s):
            try:
                wait_s = self._run_pass(period_s)
            except (ServiceError, OSError) as error:
                _LOGGER.warning("the check for damage could not go on: %s", error)
                wait_s = RETRY_S

    def _run_pass(self, period_s: float) -> float:
        """Run or continue a pass, if one is due; return how long to wait for the next one [s]."""
        state = self._library / SCRUB_PROGRESS
        verifier = Verifier(self._library, self._catalog.database, state=state, brief=True)
        kept = verifier.load()
        if kept is not None:
            self.progress = kept
            if not kept.is_complete:
                verifier.progress = kept
            elif (left_s := self.completed_s + period_s - time.time()) > 0:
                return left_s
            verifier.progress.completed_at = kept.completed_at
        self.progress = verifier.progress
        if self._check_all(verifier, min(SLOWEST_S, period_s / verifier.count())):
            self.progress.completed_at = now()
            for part in PARTS:
                names = [fault.name for fault in self.progress.faults if fault.part == part]
                self._catalog.damage.replace(part, names)
            verifier.keep()
        return 0.0

    def _check_all(self, verifier: Verifier, pause_s: float) -> bool:
        """Check until the pass is complete, or until this is closed; tell which of both."""
        n_noted = 0
        for n_parts in verifier.run():
            for fault in self.progress.faults[n_noted:]:
                self._catalog.damage.note(fault.part, [fault.name])
            n_noted = len(self.progress.faults)
            if self._closing.wait(n_parts * pause_s):
                verifier.keep()
                return verifier.progress.is_complete
        return True
