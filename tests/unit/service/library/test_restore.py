"""A restore is complete or marked as incomplete, and takes no file that a backup must not name."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from tiny_library import execute, make_bytes, make_clip, open_library, reseal, stored_files

from service.errors import BackupError, LibraryError, ServiceError, StorageUnavailableError
from service.library import restore as restore_module
from service.library.backup import back_up
from service.library.library import Library
from service.library.opening import Creation
from service.library.restore import restore

N_CLIPS = 6
N_KILLS = 8
RESTORE_AND_DIE = """
import os, signal, sys, time
from pathlib import Path
from service.library.restore import restore
for n in range(int(sys.argv[3])):
    library = Path(sys.argv[2]) / str(n)
    pid = os.fork()
    if pid == 0:
        restore(Path(sys.argv[1]), library)
        os._exit(0)
    while not library.exists():  # the backup is read before
        pass
    time.sleep(n / 200)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    opened = open_library(tmp_path / "library")
    opened.writer.put_many([make_clip(f"c{n}", n) for n in range(N_CLIPS)])
    opened.index.save()
    opened.close()
    return tmp_path / "library"


@pytest.fixture
def backup(tmp_path: Path, library: Path) -> Path:
    back_up(library, tmp_path / "backup.tar")
    return tmp_path / "backup.tar"


def is_complete(library: Library) -> bool:
    found = {record.id for record in library.page(limit=1000)[0]}
    return found == {f"c{n}" for n in range(N_CLIPS)} and all(
        library.audio_path(f"c{n}").read_bytes() == make_bytes(n) for n in range(N_CLIPS)
    )


def assert_opens_complete(path: Path) -> None:
    opened = open_library(path, create=False)
    assert is_complete(opened)
    assert opened.writer.moved.n_quarantined == 0
    opened.close()


def archived(folder: Path, file: Path) -> Path:
    """Write the catalogue and the audio of a folder as a backup, whatever the catalogue says."""
    names = ["catalog.sqlite", *sorted(stored_files(folder))]
    contents = {name: (folder / name).read_bytes() for name in names}
    files = {name: [hashlib.sha256(b).hexdigest(), len(b)] for name, b in contents.items()}
    manifest = orjson.dumps({"format": 1, "files": files})
    listed = {f"manifest-{hashlib.sha256(manifest).hexdigest()}.json": manifest}
    with tarfile.open(file, "w") as target:
        for name, content in (listed | contents).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))
    return file


def test_a_restore_killed_at_any_moment_is_complete_or_stops_a_start(
    tmp_path: Path, backup: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RESTORE_AND_DIE, str(backup), str(tmp_path), str(N_KILLS)]
    subprocess.run(command, env=environment, check=True)
    n_stopped = 0
    for n in range(N_KILLS):
        path = tmp_path / str(n)
        if not (path / "catalog.sqlite").exists():
            n_stopped += 1
            if (path / "restore.partial").exists():
                with pytest.raises(LibraryError, match="`minuend restore` again"):
                    open_library(path)
            restore(backup, path)
        assert_opens_complete(path)
        assert not (path / "restore.partial").exists()
    assert n_stopped, "no process was killed before it was done"


@pytest.mark.parametrize("step", ["_extract", "_check_catalog", "_put_in_place", "move_files"])
def test_a_restore_that_fails_stops_a_start_until_it_is_run_again(
    tmp_path: Path, backup: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(restore_module, step, fail)
        with pytest.raises(OSError, match="disk is full"):
            restore(backup, tmp_path / "new")
    assert list((tmp_path / "new" / "restore.partial").iterdir()) == []
    for create in (True, False, Creation(if_lost=True)):
        with pytest.raises(LibraryError, match="`minuend restore` again"):
            open_library(tmp_path / "new", create=create)
    restore(backup, tmp_path / "new")
    assert_opens_complete(tmp_path / "new")


def test_a_file_that_is_no_backup_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no backup" * 1000)
    with pytest.raises(BackupError):
        restore(tmp_path / "file", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_volume_is_restored_in_place(
    tmp_path: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root of a volume cannot be renamed, nor can files be moved into it from elsewhere."""
    volume = tmp_path / "volume"
    (volume / "lost+found").mkdir(parents=True)
    (volume / ".keep").touch()
    rename = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if not (path.is_relative_to(volume) and Path(target).is_relative_to(volume)):
            raise OSError(18, "Invalid cross-device link")
        assert path != volume
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    restore(backup, volume)
    monkeypatch.undo()
    assert_opens_complete(volume)


def test_a_library_that_lost_its_catalogue_is_restored_in_its_place(
    library: Path, backup: Path
) -> None:
    """Its newer sound stays, and the snapshot of its index is not used."""
    opened = open_library(library)
    opened.writer.put(make_clip("newer", 99))
    opened.index.save()
    opened.close()
    (library / "catalog.sqlite").unlink()
    restore(backup, library)
    assert not (library / "index" / "snapshot.json").exists()
    opened = open_library(library, create=False)
    assert is_complete(opened)
    assert opened.writer.moved.n_quarantined == 1
    (newer,) = (library / "quarantine").rglob("*.wav")
    assert newer.read_bytes() == make_bytes(99)
    opened.close()


def test_a_library_that_a_process_has_open_is_neither_restored_nor_adopted(
    library: Path, backup: Path
) -> None:
    """It has the catalogue that was moved away: its deletions would remove restored audio."""
    opened = open_library(library)
    for file in library.glob("catalog.sqlite*"):
        file.rename(library.parent / file.name)
    files = stored_files(library)
    with pytest.raises(BackupError, match=r"has the library .* open: stop it"):
        restore(backup, library)
    (library / "restore.partial").rmdir()
    with pytest.raises(LibraryError, match=r"has the library .* open: stop it"):
        open_library(library, create=Creation(if_lost=True))
    with pytest.raises(StorageUnavailableError, match="moved away or replaced"):
        opened.writer.delete("c0")
    assert stored_files(library) == files
    opened.close()
    restore(backup, library)
    assert_opens_complete(library)


def test_damaged_audio_in_the_folder_is_replaced_by_that_of_the_backup(
    library: Path, backup: Path
) -> None:
    for name in stored_files(library):
        (library / name).write_bytes(b"damaged")
    (library / "catalog.sqlite").unlink()
    restore(backup, library)
    assert_opens_complete(library)


def test_a_folder_with_other_files_or_with_the_log_of_a_catalogue_is_refused(
    tmp_path: Path, backup: Path
) -> None:
    for name, reason in [
        ("notes.txt", "holds notes.txt"),
        ("catalog.sqlite-wal", "keep it"),
        ("catalog.sqlite-journal", "keep it"),
    ]:
        folder = tmp_path / f"with-{name}"
        folder.mkdir()
        (folder / name).write_text("mine")
        with pytest.raises(BackupError, match=reason):
            restore(backup, folder)
        assert [path.name for path in folder.iterdir()] == [name]


def test_the_backup_and_the_keys_may_lie_in_the_folder(tmp_path: Path, backup: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    keys = folder / "keys.txt"
    keys.touch()
    restore(backup.rename(folder / "mine.tar"), folder, keys=keys)
    assert_opens_complete(folder)


HOSTILE: list[tuple[str, str]] = [
    ("stored", "'../outside.wav'"),
    ("stored", "'/etc/passwd'"),
    ("stored", "'audio/ab/../../../outside.wav'"),
    ("stored", "'audio/' || substr(sha256, 1, 2) || '/../../catalog.sqlite'"),
    ("stored", f"'audio/ab/{'ab' * 32}.wav'"),
    ("referenced", "'/etc/passwd'"),
    ("referenced", "'/proc/self/environ'"),
    ("referenced", "'relative.wav'"),
    ("vector", "'/etc/passwd'"),
    ("vector", "'../outside.wav'"),
]


@pytest.mark.parametrize(("source", "path"), HOSTILE)
def test_a_backup_whose_catalogue_names_other_files_is_refused(
    tmp_path: Path, library: Path, source: str, path: str
) -> None:
    execute(library, f"UPDATE clips SET source = '{source}', path = {path} WHERE id = 'c1'")
    reseal(library)
    with pytest.raises(BackupError, match="is refused"):
        restore(archived(library, tmp_path / "hostile.tar"), tmp_path / "new")
    assert not (tmp_path / "new" / "catalog.sqlite").exists()


def test_a_backup_without_the_audio_of_a_clip_is_refused(tmp_path: Path, library: Path) -> None:
    execute(library, "UPDATE clips SET path = path || 'x' WHERE id = 'c1'")
    with pytest.raises(BackupError, match="lacks audio/"):
        restore(archived(library, tmp_path / "made.tar"), tmp_path / "new")


@pytest.mark.parametrize(("source", "path"), HOSTILE)
def test_a_file_that_a_catalogue_must_not_name_is_neither_opened_nor_removed(
    tmp_path: Path, library: Path, source: str, path: str
) -> None:
    (tmp_path / "outside.wav").write_bytes(b"a file of the user")
    execute(library, f"UPDATE clips SET source = '{source}', path = {path} WHERE id = 'c1'")
    reseal(library)
    ((named,),) = execute(library, "SELECT path FROM clips WHERE id = 'c1'")
    existed = (library / named).exists()
    opened = open_library(library)
    with pytest.raises(ServiceError):
        opened.open_audio("c1")
    opened.writer.delete("c1")
    assert {record.id for record in opened.page()[0]} == {"c0", "c2", "c3", "c4", "c5"}
    opened.close()
    assert (library / named).exists() == existed
    assert (tmp_path / "outside.wav").read_bytes() == b"a file of the user"


def test_a_library_with_such_names_is_not_backed_up(tmp_path: Path, library: Path) -> None:
    (tmp_path / "outside.wav").write_bytes(b"secret")
    execute(library, "UPDATE clips SET path = '../outside.wav' WHERE id = 'c1'")
    with pytest.raises(BackupError, match="outside"):
        back_up(library, tmp_path / "backup.tar")


def flip_catalog(folder: Path) -> None:
    content = bytearray((folder / "catalog.sqlite").read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 8] = bytes(8)
    (folder / "catalog.sqlite").write_bytes(content)


def test_a_damaged_catalogue_is_neither_backed_up_nor_restored(
    tmp_path: Path, library: Path
) -> None:
    flip_catalog(library)
    with pytest.raises(LibraryError, match="is damaged"):
        back_up(library, tmp_path / "backup.tar")
    assert not (tmp_path / "backup.tar").exists()
    with pytest.raises(BackupError, match="is damaged"):
        restore(archived(library, tmp_path / "made.tar"), tmp_path / "new")
    assert not (tmp_path / "new" / "catalog.sqlite").exists()


def renamed(files: dict[str, object]) -> dict[str, object]:
    return {name.replace("audio/", "audio/../"): entry for name, entry in files.items()}


@pytest.mark.parametrize(
    "change",
    [
        renamed,
        lambda files: {name: e for name, e in files.items() if name != "catalog.sqlite"},
        lambda files: {name: ["0" * 64, e[1]] for name, e in files.items()},
        lambda files: {name: e[0] for name, e in files.items()},
        lambda files: list(files),
        lambda files: None,
    ],
)
def test_a_list_of_files_that_no_backup_has_is_refused(
    tmp_path: Path, backup: Path, change: Callable[[dict[str, object]], object]
) -> None:
    made = tmp_path / "made.tar"
    with tarfile.open(backup) as source, tarfile.open(made, "w") as target:
        for n, member in enumerate(source):
            file = source.extractfile(member)
            assert file is not None
            content = file.read()
            if n == 0:
                files = orjson.loads(content)["files"]
                content = orjson.dumps({"format": 1, "files": change(files)})
                member.name = f"manifest-{hashlib.sha256(content).hexdigest()}.json"
                member.size = len(content)
            target.addfile(member, io.BytesIO(content))
    with pytest.raises(BackupError):
        restore(made, tmp_path / "new")
    assert not (tmp_path / "new" / "catalog.sqlite").exists()
