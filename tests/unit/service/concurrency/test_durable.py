from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.concurrency.durable import atomic_write, staged_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_has_its_old_content_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"

    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.json"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    with pytest.raises(TypeError), atomic_write(path) as file:
        file.writelines([b"half", "not bytes"])  # type: ignore[list-item]

    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.json"]


def test_a_file_of_secrets_is_never_readable_by_others(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "keys", permissions=0o600) as file:
        assert os.fstat(file.fileno()).st_mode & 0o077 == 0

    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder_appears_with_all_its_files_or_replaces_an_empty_one(
    tmp_path: Path, is_there: bool
) -> None:
    path = tmp_path / "bundle"
    if is_there:
        path.mkdir()

    with staged_folder(path) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "a").write_bytes(b"1")
        assert list(path.glob("*")) == []

    assert (path / "inner" / "a").read_bytes() == b"1"
    assert names(tmp_path) == ["bundle"]


def test_a_folder_does_not_replace_one_with_content(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.mkdir()
    (path / "mine").write_bytes(b"1")

    with pytest.raises(OSError, match="not empty"), staged_folder(path):
        pass

    assert names(tmp_path) == ["bundle"]
    assert (path / "mine").read_bytes() == b"1"


def test_a_folder_with_content_is_replaced_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.mkdir()
    (path / "old").write_bytes(b"1")

    with staged_folder(path, replace=True) as folder:
        (folder / "new").write_bytes(b"2")
        assert names(path) == ["old"]

    assert names(path) == ["new"]
    assert names(tmp_path) == ["bundle"]


def test_a_replacement_that_fails_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bundle"
    path.mkdir()
    (path / "old").write_bytes(b"1")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if target == path and self.suffix == ".tmp":
            raise OSError("disk full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="disk full"), staged_folder(path, replace=True):
        pass

    assert names(path) == ["old"]
    assert names(tmp_path) == ["bundle"]


def test_every_byte_is_synchronised_before_the_name_is_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("sync"), fsync(fd))[1])
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (calls.append("name"), replace(self, to))[1]
    )

    with atomic_write(tmp_path / "a") as file:
        file.write(b"1")
    with staged_folder(tmp_path / "b") as folder:
        (folder / "c").write_bytes(b"1")

    assert calls == ["sync", "name", "sync", "sync", "sync", "name", "sync"]
