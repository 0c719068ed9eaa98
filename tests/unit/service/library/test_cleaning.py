from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tiny_library import execute, make_clip, open_library, stored_files

from service.errors import LibraryError
from service.library.cleaning import delete, quarantined

N_CLIPS = 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A library with one clip, and the audio of three others in its quarantine."""
    library = open_library(tmp_path)
    library.writer.put_many([make_clip(f"c{n}", n) for n in range(N_CLIPS)])
    library.close()
    execute(tmp_path, "DELETE FROM clips WHERE id <> 'c0'")
    open_library(tmp_path).close()
    return tmp_path


def age(path: Path, days: int) -> Path:
    """Give the only folder of the quarantine an earlier date."""
    (folder,) = quarantined(path)
    name = (folder.moved_at - timedelta(days=days)).strftime("%Y-%m-%dT%H-%M-%SZ")
    return folder.path.rename(folder.path.with_name(name))


def test_only_the_quarantine_is_deleted(path: Path) -> None:
    files = stored_files(path)
    (path / "quarantine" / "notes.txt").write_text("mine")
    found = quarantined(path)
    assert [folder.size()[0] for folder in found] == [N_CLIPS - 1]
    assert delete(path, found) == 0
    assert stored_files(path) == files
    assert [kept.name for kept in (path / "quarantine").iterdir()] == ["notes.txt"]


def test_only_folders_older_than_a_number_of_days_are_found(path: Path) -> None:
    old = age(path, 10)
    execute(path, "DELETE FROM clips")
    open_library(path).close()
    assert len(quarantined(path)) == 2
    assert [f.path for f in quarantined(path, older_than=timedelta(days=9))] == [old]
    assert quarantined(path, older_than=timedelta(days=11)) == []


def test_files_of_clips_are_moved_back_before_the_rest_is_deleted(path: Path) -> None:
    """The library got its newer catalogue back, and no start has moved its files back yet."""
    (name,) = stored_files(path)
    target = quarantined(path)[0].path / name
    target.parent.mkdir(exist_ok=True)
    (path / name).rename(target)
    assert delete(path, quarantined(path)) == 1
    assert stored_files(path) == {name}


def test_nothing_is_deleted_without_a_catalogue_or_with_a_damaged_one(path: Path) -> None:
    found = quarantined(path)
    catalog = path / "catalog.sqlite"
    catalog.write_bytes(b"damaged" * 1000)
    with pytest.raises(LibraryError, match="catalogue"):
        delete(path, found)
    catalog.unlink()
    with pytest.raises(LibraryError, match="minuend adopt"):
        quarantined(path)
    assert len(list(found[0].files())) == N_CLIPS - 1
