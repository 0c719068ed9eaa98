from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny_library import MEAN, make_clip, make_embedding, make_windows

from service.catalog.filters import parse_filter
from service.clips import NewClip
from service.difference import centre
from service.library.library import SEARCHES, Library
from service.library.synced_index import IndexHits


@pytest.fixture
def library(library: Library) -> Library:
    """A short clip, a long one and a vector."""
    library.writer.put_many([make_clip("short", 1), make_clip("long", 2, n_windows=6)])
    library.writer.put(NewClip(id="vector", embedding=make_embedding(3)))
    return library


def window(n: int) -> np.ndarray:
    return centre(make_windows(2, 6).embeddings[n], MEAN)


def test_a_hit_of_a_long_clip_has_the_span_of_its_best_window(library: Library) -> None:
    for n in range(6):
        (hit,) = library.search(window(n), 1)
        assert (hit.record.id, hit.start_s, hit.end_s) == ("long", 5.0 * n, 5.0 * n + 10)
        assert hit.score == pytest.approx(1, abs=1e-5)


def test_a_long_clip_found_as_a_whole_has_the_span_of_its_best_window(library: Library) -> None:
    query = centre(make_embedding(2), MEAN)

    (hit,) = library.search(query, 1)

    best = int(np.argmax(centre(make_windows(2, 6).embeddings, MEAN) @ query))
    assert hit.record.id == "long"
    assert hit.score == pytest.approx(1, abs=1e-5)
    assert (hit.start_s, hit.end_s) == (5.0 * best, 5.0 * best + 10)


def test_a_clip_of_unknown_length_has_no_span(library: Library) -> None:
    (hit,) = library.search(centre(make_embedding(3), MEAN), 1)

    assert (hit.record.id, hit.start_s, hit.end_s) == ("vector", None, None)


def change_during(library: Library, monkeypatch: pytest.MonkeyPatch, seeds: list[int]) -> None:
    """Replace the clip `short` after it was found, once for each seed, in search after search."""
    search = library.index.search

    def search_and_change(*arguments: Any) -> IndexHits:
        found = search(*arguments)
        if seeds:
            seed = seeds.pop(0)
            library.writer.put(make_clip("short", seed, metadata={"seed": seed}))
        return found

    monkeypatch.setattr(library.index, "search", search_and_change)


def test_a_clip_that_is_replaced_during_a_search_is_found_as_it_is_now(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.writer.put(make_clip("short", 1, metadata={"seed": 1}))
    change_during(library, monkeypatch, [5])

    hits = library.search(centre(make_embedding(5), MEAN), 3)

    assert (hits[0].record.id, hits[0].record.metadata) == ("short", {"seed": 5})
    assert hits[0].score == pytest.approx(1, abs=1e-5), "the score is of the content that it has"


def test_every_hit_passes_the_filter_although_clips_are_changed_during_the_search(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.writer.put(make_clip("short", 1, metadata={"seed": 1}))
    change_during(library, monkeypatch, [5])

    assert library.search(window(0), 3, filter=parse_filter({"seed": 1})) == []


def test_a_clip_that_is_replaced_during_every_search_is_left_out(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_during(library, monkeypatch, list(range(10, 10 + SEARCHES)))

    hits = library.search(centre(make_embedding(1), MEAN), 3)

    assert {hit.record.id for hit in hits} == {"long", "vector"}
