"""An index of another copy of the catalogue is never believed, whatever their revisions are."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tiny_library import MEAN, make_clip, make_embedding, open_library

from service.catalog import changes
from service.difference import centre
from service.library.library import Library

N_OLDER = 6
"""Writes that led to the older copy."""


def put(library: Library, *names: str, first_seed: int) -> None:
    """Put clips, one a write."""
    for seed, name in enumerate(names, start=first_seed):
        library.writer.put(make_clip(name, seed, stored=False))


def names(prefix: str, n: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(n)]


def assert_finds(library: Library, expected: dict[str, int]) -> None:
    """Check that exactly the clips of these names, with these seeds, are found."""
    hits = library.search(centre(make_embedding(0), MEAN), 1000)
    assert {hit.record.id for hit in hits} == set(expected)
    for name, seed in expected.items():
        (hit,) = library.search(centre(make_embedding(seed), MEAN), 1)
        assert (hit.record.id, hit.score) == (name, pytest.approx(1, abs=1e-3))


def seeds(prefix: str, n: int, first_seed: int) -> dict[str, int]:
    return {name: first_seed + number for number, name in enumerate(names(prefix, n))}


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A copy of the catalogue of a library, which is then written to."""
    library = open_library(tmp_path / "library")
    put(library, *names("a", N_OLDER), first_seed=0)
    library.close()
    return Path(shutil.copy(tmp_path / "library" / "catalog.sqlite", tmp_path / "older.sqlite"))


@pytest.mark.parametrize("n_other", [1, 5, 9])
def test_an_older_catalogue_is_put_back_and_written_to(
    tmp_path: Path, older: Path, n_other: int
) -> None:
    """With fewer, as many, and more writes than those that the snapshot has and it has not."""
    path = tmp_path / "library"
    library = open_library(path)
    put(library, *names("b", 5), first_seed=100)
    library.index.save()
    library.close()

    shutil.copy(older, path / "catalog.sqlite")
    library = open_library(path)
    put(library, *names("c", n_other), first_seed=200)
    library.close()  # without another snapshot, as after a kill

    library = open_library(path)
    assert_finds(library, seeds("a", N_OLDER, 0) | seeds("c", n_other, 200))
    library.close()


def test_a_snapshot_of_a_copy_that_was_written_to_elsewhere_is_not_used(
    tmp_path: Path, older: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = tmp_path / "library", tmp_path / "other"
    shutil.copytree(one, other)
    for path, prefix, seed in ((one, "b", 100), (other, "c", 200)):
        library = open_library(path)
        put(library, *names(prefix, 3), first_seed=seed)
        library.index.save()
        library.close()
    shutil.rmtree(one / "index")
    shutil.copytree(other / "index", one / "index")

    library = open_library(one)
    assert_finds(library, seeds("a", N_OLDER, 0) | seeds("b", 3, 100))
    assert f"of revision {N_OLDER + 3} of another copy" in caplog.text
    library.close()


def test_a_snapshot_from_before_the_copies_parted_is_used_by_both(
    tmp_path: Path, older: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "library"
    library = open_library(path)
    library.index.save()
    library.close()
    shutil.copy(older, path / "catalog.sqlite")
    library = open_library(path)
    put(library, *names("c", 3), first_seed=200)
    with caplog.at_level(logging.INFO, "service"):
        assert_finds(library, seeds("a", N_OLDER, 0) | seeds("c", 3, 200))
    assert caplog.records == []
    library.close()


@pytest.fixture
def running(tmp_path: Path, older: Path) -> Iterator[Library]:
    """An open library with an index of six clips, and five more."""
    library = open_library(tmp_path / "library")
    put(library, *names("b", 5), first_seed=100)
    assert_finds(library, seeds("a", N_OLDER, 0) | seeds("b", 5, 100))
    yield library
    library.close()


@pytest.mark.parametrize("n_other", [0, 1, 5, 9])
def test_a_running_service_notices_that_its_catalogue_was_replaced(
    tmp_path: Path, older: Path, running: Library, n_other: int
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(older, elsewhere / "catalog.sqlite")
    other = open_library(elsewhere)
    put(other, *names("c", n_other), first_seed=200)
    other.close()
    with (
        closing(sqlite3.connect(elsewhere / "catalog.sqlite")) as source,
        closing(sqlite3.connect(tmp_path / "library" / "catalog.sqlite")) as target,
    ):
        source.backup(target)

    assert_finds(running, seeds("a", N_OLDER, 0) | seeds("c", n_other, 200))
    assert running.index.n_vectors() == N_OLDER + n_other


def test_the_index_of_a_version_that_is_no_longer_known_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(changes, "KEPT_WRITES", 4)
    monkeypatch.setattr(changes, "PRUNE_EVERY", 2)
    library = open_library(tmp_path)
    put(library, *names("a", 2), first_seed=0)
    assert_finds(library, seeds("a", 2, 0))
    put(library, *names("b", 10), first_seed=100)
    with caplog.at_level(logging.INFO, "service"):
        assert_finds(library, seeds("a", 2, 0) | seeds("b", 10, 100))
    assert "index of revision 2 is too old" in caplog.text
    ((n_kept,),) = library.catalog.database.query("SELECT count(*) FROM writes")
    assert n_kept == 4
    library.close()
