from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_disk import fill, read_only, small_disk
from tiny_library import make_clip, open_library

from service.errors import StorageUnavailableError
from service.library import health
from service.library.health import CHECK_S, LibraryHealth
from service.library.library import Library


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = open_library(tmp_path / "library")
    yield library
    library.close()


def watch(library: Library, path: Path) -> tuple[LibraryHealth, list[float]]:
    """Return the health of a library with a clock that the test sets."""
    now = [0.0]
    return LibraryHealth(path, library.catalog, library.index, clock=lambda: now[0]), now


def test_a_working_library_has_no_faults(library: Library, tmp_path: Path) -> None:
    assert library.health.faults() == {}


def test_a_read_only_library_is_a_fault_of_its_storage_until_it_can_be_written(
    library: Library, tmp_path: Path
) -> None:
    watched, now = watch(library, tmp_path / "library")
    with read_only(tmp_path / "library"):
        assert list(watched.faults()) == ["storage"]
        assert "Read-only" in watched.faults()["storage"]
        with pytest.raises(StorageUnavailableError):
            library.writer.put(make_clip("a", 1))
    now[0] = CHECK_S
    assert watched.faults() == {}
    library.writer.put(make_clip("a", 1))


def test_the_disk_is_tried_once_for_many_checks(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_trials = []
    monkeypatch.setattr(health, "try_write", n_trials.append)
    watched, now = watch(library, tmp_path / "library")
    for now[0] in (0.0, 0.1, CHECK_S - 0.1, CHECK_S, CHECK_S + 1):
        assert watched.faults() == {}
    assert len(n_trials) == 2


def test_a_full_disk_is_no_fault(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        library = open_library(disk / "library")
        fill(disk)
        assert library.health.faults() == {}
        library.close()


def test_a_failed_index_is_a_fault_and_is_built_again(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, now = watch(library, tmp_path / "library")

    def fail(index: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(library.index, "_update", fail)
        with pytest.raises(MemoryError):
            library.index.refresh()
    assert list(watched.faults()) == ["index"]
    library.index.wait()
    now[0] = CHECK_S
    assert watched.faults() == {}


def test_a_damaged_catalogue_is_a_fault_without_its_path(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "library" / "catalog.sqlite"
    library.catalog.database.close()
    path.write_bytes(b"no database at all" * 1000)
    faults = library.health.faults()
    assert faults["catalogue"].startswith("catalog.sqlite is damaged")
    assert str(tmp_path) not in faults["catalogue"]
