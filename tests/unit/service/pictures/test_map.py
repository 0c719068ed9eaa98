from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_library import make_clip, open_library

from service.library.library import Library
from service.pictures.map import LibraryMap


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = open_library(tmp_path)
    library.writer.put_many([make_clip(f"c{seed}", seed, stored=False) for seed in range(12)])
    yield library
    library.close()


def test_every_clip_has_a_place_on_the_map(library: Library) -> None:
    drawn = LibraryMap(library).map()

    assert [record.id for record in drawn.records] == [f"c{seed}" for seed in range(12)]
    assert drawn.positions.shape == (12, 2)
    assert np.abs(drawn.positions).max() == pytest.approx(1)
    assert 0 < drawn.shown <= 1


def test_another_process_draws_the_same_map(library: Library) -> None:
    assert np.array_equal(LibraryMap(library).map().positions, LibraryMap(library).map().positions)


def test_equal_sounds_lie_at_one_place(library: Library) -> None:
    library.writer.put(make_clip("again", 3, stored=False))

    positions = LibraryMap(library).map().positions

    np.testing.assert_allclose(positions[3], positions[12], atol=1e-6)


def test_the_map_is_kept_until_the_library_changes(library: Library) -> None:
    atlas = LibraryMap(library)
    before = atlas.map()

    assert atlas.map() is before
    library.writer.delete("c5")
    assert "c5" not in [record.id for record in atlas.map().records]


def test_an_empty_library_has_an_empty_map(tmp_path: Path) -> None:
    library = open_library(tmp_path / "empty")
    try:
        drawn = LibraryMap(library).map()
    finally:
        library.close()

    assert (drawn.records, drawn.n_clips, drawn.shown) == ([], 0, 0.0)
