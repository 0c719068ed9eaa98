from __future__ import annotations

import numpy as np
import pytest
from tiny_library import MEAN, make_clip, make_embedding, make_windows

from service.clips import NewClip
from service.difference import centre
from service.library.library import Library


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
