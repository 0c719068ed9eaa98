"""Damaged parts of a library, as far as this process has found them: for the log and the metrics.

A damaged part is left out of every answer, and the rest of the library keeps working.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Literal, get_args

import numpy as np
import orjson

from service.catalog.database import Database
from service.row_ids import are_whole, clips_of

Part = Literal["record", "vector", "window", "audio", "structure", "snapshot"]
PARTS: tuple[Part, ...] = get_args(Part)

_LOGGER = logging.getLogger(__name__)
_MOST_NAMES = 20


class Damage:
    """The damaged parts that were found, for use by any number of threads.

    A part is named by its clip, audio by its path.
    """

    def __init__(self) -> None:
        self._found: dict[Part, set[str]] = {part: set() for part in PARTS}
        self._lock = Lock()

    def note(self, part: Part, names: Iterable[str]) -> None:
        """Note damaged parts; those that were not known are logged, in one line."""
        with self._lock:
            new = sorted(set(names) - self._found[part])
            self._found[part].update(new)
        if new:
            more = f" and {len(new) - _MOST_NAMES} more" if len(new) > _MOST_NAMES else ""
            _LOGGER.error(
                "damaged %s of %s%s: it is not served; `minuend verify` checks the whole library",
                part,
                ", ".join(new[:_MOST_NAMES]),
                more,
            )

    def note_rows(self, database: Database, rows: Sequence[int]) -> None:
        """Note the damaged vectors and windows of rows, see `service.row_ids`."""
        numbers = np.array(rows, np.int64)
        is_whole = are_whole(numbers)
        self.note("vector", clip_names(database, clips_of(numbers[is_whole]).tolist()))
        self.note("window", clip_names(database, clips_of(numbers[~is_whole]).tolist()))

    def replace(self, part: Part, names: Iterable[str]) -> None:
        """Note what a complete check of one kind of part has found; all else of it is intact."""
        names = set(names)
        self.note(part, names)
        with self._lock:
            self._found[part] &= names

    def forget(self, names: Iterable[str]) -> None:
        """Forget the parts of clips that were written again or deleted."""
        gone = set(names)
        with self._lock:
            for found in self._found.values():
                found -= gone

    def counts(self) -> dict[Part, int]:
        """Count the damaged parts that are known, by their kind."""
        with self._lock:
            return {part: len(found) for part, found in self._found.items()}


def clip_names(database: Database, seqs: Sequence[int]) -> list[str]:
    """Return the id of each clip by its number, as it stands in its record."""
    query = "SELECT seq, id FROM clips WHERE seq IN (SELECT value FROM json_each(?))"
    found = dict(database.query(query, orjson.dumps(seqs).decode())) if seqs else {}
    return [str(found.get(seq, f"number {seq}")) for seq in seqs]
