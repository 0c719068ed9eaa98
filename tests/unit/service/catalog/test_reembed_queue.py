from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_library import DIM, FINGERPRINT, execute, make_clip, make_embedding, open_library

from service.catalog.reembed_queue import QueuedClip, ReembedQueue
from service.catalog.vectors import Embeddings
from service.errors import LibraryError
from service.library.library import Library

NEW = "cd" * 32


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Library]:
    """A library of the old encoder with five clips."""
    library = open_library(tmp_path)
    library.writer.put_many([make_clip(f"c{seed}", seed, stored=seed > 0) for seed in range(5)])
    yield library
    library.close()


@pytest.fixture
def new(tmp_path: Path, old: Library) -> Iterator[Library]:
    """The same library, opened to be embedded by the new encoder."""
    library = open_library(tmp_path, fingerprint=NEW, reembedding=True)
    yield library
    library.close()


@pytest.fixture
def queue(new: Library) -> ReembedQueue:
    return new.reembed_queue


def vectors(clips: list[QueuedClip]) -> list[tuple[QueuedClip, Embeddings]]:
    return [(clip, Embeddings(np.full(DIM, clip.seq, np.float16))) for clip in clips]


def lacking(queue: ReembedQueue, after: int = 0, limit: int = 10) -> list[QueuedClip]:
    """Return a page of the clips without a vector."""
    return queue.page(after, limit, math.inf)


def ids(clips: list[QueuedClip]) -> list[str]:
    return [clip.id for clip in clips]


def test_clips_of_another_encoder_are_queued_page_by_page(queue: ReembedQueue) -> None:
    first = lacking(queue, 0, 3)

    assert ids(first) == ["c0", "c1", "c2"]
    assert ids(lacking(queue, first[-1].seq, 3)) == ["c3", "c4"]
    assert [clip.sha256 is None for clip in first] == [True, False, False]
    assert (queue.n_lacking(), queue.n_waiting()) == (5, 5)
    assert queue.other_fingerprint() == FINGERPRINT


def test_the_queue_of_the_encoder_that_made_the_library_is_empty(old: Library) -> None:
    assert (old.reembed_queue.n_lacking(), old.reembed_queue.other_fingerprint()) == (0, None)


def test_new_vectors_do_not_replace_those_of_the_other_encoder(
    old: Library, new: Library, queue: ReembedQueue
) -> None:
    assert ids(queue.add(vectors(lacking(queue, 0, 2)))) == ["c0", "c1"]

    assert ids(lacking(queue, 0, 10)) == ["c2", "c3", "c4"]
    np.testing.assert_array_equal(new.catalog.embedding("c1"), np.full(DIM, 2.0))
    np.testing.assert_array_equal(old.catalog.embedding("c1"), make_embedding(1))
    assert old.reembed_queue.n_lacking() == 0


def test_a_vector_of_a_clip_that_was_changed_meanwhile_is_not_added(
    old: Library, queue: ReembedQueue
) -> None:
    page = lacking(queue, 0, 10)
    old.writer.put(make_clip("c1", 9))
    old.writer.delete("c2")

    assert ids(queue.add(vectors(page))) == ["c0", "c3", "c4"]
    assert ids(lacking(queue, 0, 10)) == ["c1"]


def test_unembeddable_clips_do_not_wait_until_they_are_changed(
    old: Library, queue: ReembedQueue
) -> None:
    *others, last = lacking(queue, 0, 10)
    queue.add(vectors(others))
    queue.mark_unembeddable([last])

    assert (queue.n_lacking(), queue.n_waiting()) == (1, 0)

    old.writer.put(make_clip("c4", 9))

    assert (queue.n_lacking(), queue.n_waiting()) == (1, 1)


def test_a_clip_changed_meanwhile_is_not_marked_as_unembeddable(
    old: Library, queue: ReembedQueue
) -> None:
    page = lacking(queue, 0, 10)
    old.writer.put(make_clip("c1", 9))
    queue.mark_unembeddable(page[:2])

    assert (queue.n_lacking(), queue.n_waiting()) == (5, 4)


def test_deleted_clips_leave_no_marks(tmp_path: Path, old: Library, queue: ReembedQueue) -> None:
    queue.mark_unembeddable(lacking(queue, 0, 10))
    for seed in range(5):
        old.writer.delete(f"c{seed}")

    assert queue.n_lacking() == 0
    assert execute(tmp_path, "SELECT count(*) FROM unembedded") == [(0,)]


def test_vectors_of_other_encoders_are_dropped_only_where_there_is_a_new_one(
    old: Library, new: Library, queue: ReembedQueue
) -> None:
    queue.add(vectors(lacking(queue, 0, 3)))

    assert queue.drop_others() == 3
    assert queue.drop_others() == 0

    assert (old.reembed_queue.n_lacking(), queue.n_lacking()) == (3, 2)
    np.testing.assert_array_equal(old.catalog.embedding("c4"), make_embedding(4))
    np.testing.assert_array_equal(new.catalog.embedding("c0"), np.full(DIM, 1.0))


def test_a_library_is_refused_while_clips_wait_and_the_error_says_what_to_do(
    tmp_path: Path, queue: ReembedQueue
) -> None:
    first, *others = lacking(queue, 0, 10)
    queue.add(vectors(others[:2]))

    message = rf"3 of the 5 clips .*{FINGERPRINT}.*{NEW}.*minuend index --reembed"
    with pytest.raises(LibraryError, match=message):
        open_library(tmp_path, fingerprint=NEW)

    queue.add(vectors(others[2:]))
    queue.mark_unembeddable([first])
    open_library(tmp_path, fingerprint=NEW).close()
