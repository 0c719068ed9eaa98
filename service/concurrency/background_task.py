"""One task at a time in a background thread that can be stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread

_LOGGER = logging.getLogger(__name__)


class StoppedError(Exception):
    """Raised by a task that was asked to stop."""


class BackgroundTask:
    """Runs one task at a time in a thread; a start during a task is ignored."""

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._stopped = Event()
        self._lock = Lock()

    def start(self, task: Callable[[Callable[[], bool]], None]) -> bool:
        """Start a task, unless one is running or `stop` was called.

        Args:
            task: Receives a function that returns whether the task should stop.

        Returns:
            Whether the task was started.
        """
        with self._lock:
            is_busy = self._thread is not None and self._thread.is_alive()
            if is_busy or self._stopped.is_set():
                return False
            self._thread = Thread(target=self._run, args=(task,), daemon=True)
            self._thread.start()
            return True

    def wait(self) -> None:
        """Wait until the running task has ended."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def stop(self) -> None:
        """Ask the running task to stop, wait until it has ended, and start no other."""
        with self._lock:
            self._stopped.set()
        self.wait()

    def _run(self, task: Callable[[Callable[[], bool]], None]) -> None:
        try:
            task(self._stopped.is_set)
        except StoppedError:
            pass
        except Exception:
            _LOGGER.exception("background work failed; searches continue as before")
