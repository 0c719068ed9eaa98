"""Health of a library: which of its parts cannot serve requests now."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from service.catalog.catalog import Catalog
from service.concurrency.storage import storage_errors, try_write
from service.errors import InternalError, ServiceError, StorageFullError
from service.library.synced_index import SyncedIndex

CHECK_S = 5.0
"""Time for which the result of a check is kept: a trial synchronises the disk [s]."""


class LibraryHealth:
    """Checks the parts of a library.

    Args:
        folder: Folder of the library.
        catalog: Its catalogue.
        index: Its search index.
        clock: Current time [s].
    """

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        index: SyncedIndex,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._catalog = catalog
        self._index = index
        self._clock = clock
        self._lock = Lock()
        self._checked: float | None = None
        self._faults: dict[str, str] = {}

    def faults(self) -> dict[str, str]:
        """Return the parts that do not work, with the reason; the result is kept for `CHECK_S`.

        A full disk is no fault: searches and deletions work. Tells nothing about single clips.
        """
        with self._lock:
            if self._checked is None or self._clock() >= self._checked + CHECK_S:
                self._faults = self._check()
                self._checked = self._clock()
            return self._faults

    def _check(self) -> dict[str, str]:
        checks = {
            "catalogue": self._catalog.revision,
            "index": self._index.check,
            "storage": self._check_storage,
        }
        faults: dict[str, str] = {}
        for part, check in checks.items():
            try:
                check()
            except StorageFullError:
                pass
            except InternalError as error:
                faults[part] = error.title
            except ServiceError as error:
                faults[part] = error.detail
        return faults

    def _check_storage(self) -> None:
        self._catalog.database.check_writable()
        with storage_errors("the library", self._folder):
            try_write(self._folder)
