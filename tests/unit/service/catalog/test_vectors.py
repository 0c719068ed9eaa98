from __future__ import annotations

import sqlite3
from pathlib import Path

from tiny_library import MEAN, make_clip, make_windows, open_library

from service.difference import centre
from service.library.hits import Hit
from service.library.library import Library

OTHER = "cd" * 32


def windows_found(library: Library, seed: int, n: int) -> list[Hit]:
    """Search for a window of a seed, and return the hits that equal it."""
    query = centre(make_windows(seed, n + 1).embeddings[n], MEAN)
    hits = library.search(query, 100, every_window=True)
    return [hit for hit in hits if hit.score > 1 - 1e-5]


def test_windows_of_other_encoders_are_not_counted(tmp_path: Path, library: Library) -> None:
    library.writer.put(make_clip("a", 1, n_windows=3))
    other = open_library(tmp_path, fingerprint=OTHER, reembedding=True)
    assert other.catalog.get("a").windows == 0
    assert other.index.n_vectors() == 0

    other.writer.put(make_clip("a", 1, n_windows=5))

    assert (library.catalog.get("a").windows, other.catalog.get("a").windows) == (0, 5)
    assert (library.index.n_vectors(), other.index.n_vectors()) == (0, 6)
    other.close()


def test_replacing_a_vector_in_sql_removes_its_windows(tmp_path: Path, library: Library) -> None:
    library.writer.put(make_clip("a", 1, n_windows=3))
    with sqlite3.connect(tmp_path / "catalog.sqlite", isolation_level=None) as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.executescript("""
            BEGIN; UPDATE meta SET revision = revision + 1;
            UPDATE clips SET revision = (SELECT revision FROM meta);
            CREATE TEMP TABLE kept AS SELECT * FROM vectors;
            DELETE FROM vectors; INSERT INTO vectors SELECT * FROM kept; COMMIT;
        """)
    db.close()

    assert (library.index.n_vectors(), library.catalog.get("a").windows) == (1, 0)
    assert windows_found(library, 1, 1) == []
