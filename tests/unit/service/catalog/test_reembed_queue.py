from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_library import DIM, FINGERPRINT, make_clip, make_embedding, open_library

from service.catalog.reembed_queue import Backlog, Pending
from service.catalog.vectors import Embeddings
from service.errors import LibraryError
from service.library.library import Library

NEW = "cd" * 32


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Library]:
    """A library of the old encoder with five clips."""
    library = open_library(tmp_path)
    library.put_many([make_clip(f"c{seed}", seed, stored=seed > 0) for seed in range(5)])
    yield library
    library.close()


@pytest.fixture
def new(tmp_path: Path, old: Library) -> Iterator[Library]:
    """The same library, opened to be embedded by the new encoder."""
    library = open_library(tmp_path, fingerprint=NEW, reembedding=True)
    yield library
    library.close()


@pytest.fixture
def backlog(new: Library) -> Backlog:
    return new.backlog


def vectors(clips: list[Pending]) -> list[tuple[Pending, Embeddings]]:
    return [(clip, Embeddings(np.full(DIM, clip.seq, np.float16))) for clip in clips]


def lacking(backlog: Backlog, after: int = 0, limit: int = 10) -> list[Pending]:
    """Return a page of the clips without a vector."""
    return backlog.page(after, limit, math.inf)


def ids(clips: list[Pending]) -> list[str]:
    return [clip.id for clip in clips]


def test_what_the_other_encoder_embedded_is_waiting_page_by_page(backlog: Backlog) -> None:
    first = lacking(backlog, 0, 3)

    assert ids(first) == ["c0", "c1", "c2"]
    assert ids(lacking(backlog, first[-1].seq, 3)) == ["c3", "c4"]
    assert [clip.sha256 is None for clip in first] == [True, False, False]
    assert (backlog.n_lacking(), backlog.n_waiting(), backlog.n_left_out()) == (5, 5, 0)
    assert backlog.other_fingerprint() == FINGERPRINT


def test_nothing_waits_for_the_encoder_that_made_the_library(old: Library) -> None:
    assert (old.backlog.n_lacking(), old.backlog.other_fingerprint()) == (0, None)


def test_added_vectors_stand_beside_the_old_ones(
    old: Library, new: Library, backlog: Backlog
) -> None:
    assert ids(backlog.add(vectors(lacking(backlog, 0, 2)))) == ["c0", "c1"]

    assert ids(lacking(backlog, 0, 10)) == ["c2", "c3", "c4"]
    np.testing.assert_array_equal(new.embedding("c1"), np.full(DIM, 2.0))
    np.testing.assert_array_equal(old.embedding("c1"), make_embedding(1))
    assert old.backlog.n_lacking() == 0


def test_a_vector_of_a_clip_that_was_changed_meanwhile_is_not_taken(
    old: Library, backlog: Backlog
) -> None:
    page = lacking(backlog, 0, 10)
    old.put(make_clip("c1", 9))
    old.delete("c2")

    assert ids(backlog.add(vectors(page))) == ["c0", "c3", "c4"]
    assert ids(lacking(backlog, 0, 10)) == ["c1"]


def test_clips_left_out_do_not_wait_until_they_are_changed(old: Library, backlog: Backlog) -> None:
    *others, last = lacking(backlog, 0, 10)
    backlog.add(vectors(others))
    backlog.leave_out([last])

    assert (backlog.n_lacking(), backlog.n_waiting(), backlog.n_left_out()) == (1, 0, 1)

    old.put(make_clip("c4", 9))

    assert (backlog.n_lacking(), backlog.n_waiting(), backlog.n_left_out()) == (1, 1, 0)


def test_a_clip_changed_meanwhile_is_not_left_out(old: Library, backlog: Backlog) -> None:
    page = lacking(backlog, 0, 10)
    old.put(make_clip("c1", 9))
    backlog.leave_out(page[:2])

    assert (backlog.n_waiting(), backlog.n_left_out()) == (4, 1)


def test_deleted_clips_leave_nothing_behind(tmp_path: Path, old: Library, backlog: Backlog) -> None:
    backlog.leave_out(lacking(backlog, 0, 10))
    for seed in range(5):
        old.delete(f"c{seed}")

    assert backlog.n_lacking() == 0
    with sqlite3.connect(tmp_path / "catalog.sqlite") as db:
        assert db.execute("SELECT count(*) FROM unembedded").fetchone() == (0,)
    db.close()


def test_only_vectors_that_have_a_successor_are_dropped(
    old: Library, new: Library, backlog: Backlog
) -> None:
    backlog.add(vectors(lacking(backlog, 0, 3)))

    assert backlog.drop_others() == 3
    assert backlog.drop_others() == 0

    assert (old.backlog.n_lacking(), backlog.n_lacking()) == (3, 2)
    np.testing.assert_array_equal(old.embedding("c4"), make_embedding(4))
    np.testing.assert_array_equal(new.embedding("c0"), np.full(DIM, 1.0))


def test_a_library_is_refused_until_nothing_waits_and_says_how_to_go_on(
    tmp_path: Path, backlog: Backlog
) -> None:
    first, *others = lacking(backlog, 0, 10)
    backlog.add(vectors(others[:2]))

    message = rf"3 of the 5 clips .*{FINGERPRINT}.*{NEW}.*minuend index --reembed"
    with pytest.raises(LibraryError, match=message):
        open_library(tmp_path, fingerprint=NEW)

    backlog.add(vectors(others[2:]))
    backlog.leave_out([first])
    open_library(tmp_path, fingerprint=NEW).close()


def test_a_library_made_before_there_was_a_backlog_gets_one(tmp_path: Path, old: Library) -> None:
    old.close()
    with sqlite3.connect(tmp_path / "catalog.sqlite") as db:
        db.execute("DROP TABLE unembedded")
    db.close()

    library = open_library(tmp_path)

    assert library.backlog.n_left_out() == 0
    library.close()
