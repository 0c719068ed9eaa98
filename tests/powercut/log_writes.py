"""Workload of SQLite itself: large and small writes, some given up, into one write-ahead log.

Writes beyond SQLite's cache reach the log before they are committed, and stay in it when they are
given up. None of that is damage.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from powercut.workload import Action, Outcome, Workload, nothing

from service.catalog.log_check import damaged_frame, recover_log
from service.errors import LibraryError

CACHE_PAGES = 5
MOST_ROWS = 40
ROW_BYTES = 3000


def _write_rows(folder: Path, seed: int, n_steps: int) -> Iterator[Action]:
    opened: list[sqlite3.Connection] = []

    def open_database() -> None:
        db = sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA cache_size = {CACHE_PAGES}")
        db.execute("CREATE TABLE IF NOT EXISTS written (step, content)")
        opened.append(db)

    def write(number: int) -> None:
        (db,), (n_rows, kind) = opened, _plan(seed, number)
        if kind == "checkpoint":
            db.execute("PRAGMA wal_checkpoint(RESTART)")
            return
        db.execute("BEGIN IMMEDIATE")
        for row in range(n_rows):
            content = np.random.default_rng([seed, number, row]).bytes(ROW_BYTES)
            db.execute("INSERT INTO written VALUES (?, ?)", (number, content))
        db.execute("COMMIT" if kind == "commit" else "ROLLBACK")

    yield open_database
    for number in range(1, n_steps):
        yield lambda number=number: write(number)


def _plan(seed: int, number: int) -> tuple[int, str]:
    """Return the rows of a step, and how it ends."""
    rng = np.random.default_rng([seed, number])
    kind = rng.choice(["commit", "rollback", "checkpoint"], p=[0.6, 0.3, 0.1])
    return 1 + int(rng.integers(MOST_ROWS if rng.random() < 0.5 else 2)), str(kind)


def _check_rows(folder: Path, seed: int, n_steps: int, outcomes: Sequence[Outcome]) -> list[str]:
    file = folder / "catalog.sqlite"
    if outcomes[:1] != ["done"]:
        return []
    log = folder / "catalog.sqlite-wal"
    if log.exists() and (frame := damaged_frame(log)) is not None:
        return [f"refused: frame {frame} of the log is said to be damaged"]
    try:
        recover_log(file)
    except LibraryError as error:
        return [f"refused: {error}"]
    with closing(sqlite3.connect(file)) as db:
        faults = db.execute("PRAGMA integrity_check").fetchall()
        counts = dict(db.execute("SELECT step, count(*) FROM written GROUP BY step").fetchall())
    wrong = [] if faults == [("ok",)] else [f"wrong: {faults}"]
    for number, outcome in enumerate(outcomes[1:], start=1):
        n_rows, kind = _plan(seed, number)
        expected = n_rows if kind == "commit" else 0
        allowed = {expected} if outcome == "done" else {0, expected}
        if counts.get(number, 0) not in allowed:
            wrong.append(f"lost: step {number} has {counts.get(number, 0)} of {expected} rows")
    return wrong


LOG = Workload(nothing, _write_rows, _check_rows)
