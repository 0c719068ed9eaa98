"""One piece of work at a time in a thread of its own, which is told to stop in the end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread

_LOGGER = logging.getLogger(__name__)


class StoppedError(Exception):
    """Raised by work that was told to give up."""


class BackgroundTask:
    """Runs work beside the callers; what is asked for while work is under way is passed over."""

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._stopped = Event()
        self._lock = Lock()

    def start(self, work: Callable[[Callable[[], bool]], None]) -> bool:
        """Begin with some work, unless other work is under way or all was stopped.

        Args:
            work: Is given a function that tells whether to give up.

        Returns:
            Whether it was begun.
        """
        with self._lock:
            is_busy = self._thread is not None and self._thread.is_alive()
            if is_busy or self._stopped.is_set():
                return False
            self._thread = Thread(target=self._run, args=(work,), daemon=True)
            self._thread.start()
            return True

    def wait(self) -> None:
        """Wait until the work under way is done."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def stop(self) -> None:
        """Tell the work under way to give up, wait until it has, and begin no other."""
        with self._lock:
            self._stopped.set()
        self.wait()

    def _run(self, work: Callable[[Callable[[], bool]], None]) -> None:
        try:
            work(self._stopped.is_set)
        except StoppedError:
            pass
        except Exception:
            _LOGGER.exception("work in the background failed; searches go on as before")
