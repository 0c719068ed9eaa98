from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_library import FINGERPRINT, MEAN, make_clip, make_embedding, make_windows, open_library

from service.difference import centre
from service.errors import ClipUnknownError
from service.library.library import Hit, Library

OTHER = "cd" * 32


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = open_library(tmp_path)
    yield library
    library.close()


def n_windows_kept(path: Path, fingerprint: str = FINGERPRINT) -> int:
    with sqlite3.connect(path / "catalog.sqlite") as db:
        query = "SELECT count(*) FROM windows WHERE fingerprint = ?"
        (count,) = db.execute(query, (fingerprint,)).fetchone()
    db.close()
    return int(count)


def windows_found(library: Library, seed: int, n: int) -> list[Hit]:
    """Search for a window of a seed, and return the hits that are it."""
    windows = make_windows(seed, n + 1)
    assert windows is not None
    hits = library.search(centre(windows.embeddings[n], MEAN), 100, every_window=True)
    return [hit for hit in hits if hit.score > 1 - 1e-5]


def test_windows_come_back_as_they_were_put(library: Library) -> None:
    library.put_many([make_clip("short", 1), make_clip("long", 2, n_windows=5)])

    found, expected = library.windows("long"), make_windows(2, 5)
    assert found is not None
    assert expected is not None
    for name in ("whole", "embeddings", "starts_s", "ends_s"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert library.windows("short") is None
    assert [library.get(name).windows for name in ("short", "long")] == [0, 5]
    assert [record.windows for record in library.page()[0]] == [0, 5]
    with pytest.raises(ClipUnknownError):
        library.windows("nobody")


def test_replacing_and_deleting_leave_no_window_behind(tmp_path: Path, library: Library) -> None:
    library.put_many([make_clip("a", 1, n_windows=6), make_clip("b", 2, n_windows=4)])
    assert windows_found(library, 1, 5)

    library.put(make_clip("a", 3, n_windows=2))
    assert n_windows_kept(tmp_path) == 6
    assert library.n_vectors() == 8
    assert [windows_found(library, 1, n) for n in range(6)] == [[]] * 6
    assert windows_found(library, 3, 1)[0].record.id == "a"

    library.put(make_clip("a", 3))
    library.delete("b")
    assert (n_windows_kept(tmp_path), library.n_vectors()) == (0, 1)
    assert windows_found(library, 2, 0) == []


def test_windows_of_other_encoders_are_not_ours(tmp_path: Path, library: Library) -> None:
    library.put(make_clip("a", 1, n_windows=3))
    other = open_library(tmp_path, fingerprint=OTHER, reembedding=True)
    assert other.get("a").windows == 0
    assert other.n_vectors() == 0

    other.put(make_clip("a", 1, n_windows=5))

    assert (library.get("a").windows, other.get("a").windows) == (0, 5)
    assert (library.n_vectors(), other.n_vectors()) == (0, 6)
    other.close()


def make_older(path: Path) -> None:
    """Make a library what it was before there were windows."""
    with sqlite3.connect(path / "catalog.sqlite") as db:
        db.execute("DROP TABLE windows")
    db.close()


def test_a_library_made_before_there_were_windows_opens_and_gets_some(tmp_path: Path) -> None:
    library = open_library(tmp_path)
    library.put_many([make_clip(f"c{seed}", seed) for seed in range(4)])
    library.save_snapshot()
    library.close()
    make_older(tmp_path)

    library = open_library(tmp_path, create=False)
    assert (library.count(), library.n_vectors()) == (4, 4)
    assert library.windows("c1") is None
    (hit,) = library.search(centre(make_embedding(1), MEAN), 1)
    assert (hit.record.id, hit.start_s, hit.end_s) == ("c1", 0.0, 1.5)

    library.put(make_clip("c1", 1, n_windows=3))
    assert windows_found(library, 1, 2)[0].start_s == 10.0
    library.close()


def test_a_service_that_knows_no_windows_removes_those_of_what_it_replaces(
    tmp_path: Path, library: Library
) -> None:
    library.put(make_clip("a", 1, n_windows=3))
    with sqlite3.connect(tmp_path / "catalog.sqlite", isolation_level=None) as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.executescript("""
            BEGIN; UPDATE meta SET revision = revision + 1;
            UPDATE clips SET revision = (SELECT revision FROM meta);
            CREATE TEMP TABLE kept AS SELECT * FROM vectors;
            DELETE FROM vectors; INSERT INTO vectors SELECT * FROM kept; COMMIT;
        """)
    db.close()

    assert (library.n_vectors(), library.get("a").windows) == (1, 0)
    assert windows_found(library, 1, 1) == []
