from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.catalog.quarantine import Quarantine

NAMES = [f"audio/{x * 2}/{x * 64}.wav" for x in "abc"]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_files_keep_their_names_in_a_dated_folder(library: Path) -> None:
    path = Quarantine(library).take(NAMES[:2])
    (folder,) = Quarantine(library).folders()
    assert folder.path == path
    assert datetime.now(UTC) - folder.moved_at < timedelta(minutes=1)
    assert list(folder.files()) == [folder.path / name for name in NAMES[:2]]
    assert folder.size() == (2, sum(map(len, NAMES[:2])))
    assert not (library / NAMES[0]).exists()
    assert (library / NAMES[2]).exists()


def test_moves_at_the_same_time_have_folders_of_their_own(library: Path) -> None:
    quarantine = Quarantine(library)
    folders = []
    for _ in range(12):
        folders.append(quarantine.take([NAMES[0]]))
        (library / NAMES[0]).write_text("another")
    assert len({*folders}) == 12
    assert [folder.path for folder in quarantine.folders()] == folders


def test_the_newest_file_of_a_name_is_given_back(library: Path) -> None:
    quarantine = Quarantine(library)
    for content in ("old", "new"):
        (library / NAMES[0]).write_text(content)
        quarantine.take([NAMES[0]])
    assert quarantine.give_back([NAMES[0], NAMES[1] + "x"]) == 1
    assert (library / NAMES[0]).read_text() == "new"
    assert len(quarantine.folders()) == 1


def test_other_files_and_links_are_no_dated_folders(library: Path) -> None:
    quarantine = Quarantine(library)
    quarantine.path.mkdir()
    for name in ("notes", "2026-13-01T00-00-00Z"):
        (quarantine.path / name).mkdir()
    (quarantine.path / "2026-01-01T00-00-00Z").symlink_to(library / "audio")
    assert quarantine.folders() == []


def test_removal_leaves_the_other_folders(library: Path) -> None:
    quarantine = Quarantine(library)
    quarantine.take([NAMES[0]])
    kept = quarantine.take([NAMES[1]])
    quarantine.folders()[0].remove()
    assert [folder.path for folder in quarantine.folders()] == [kept]
