"""A start never deletes, and refuses a folder that was a library and has lost its catalogue."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_library import execute, make_bytes, make_clip, open_library, stored_files

from service.catalog.quarantine import Quarantine
from service.errors import LibraryError
from service.library.library import Library
from service.library.opening import Creation, prepare_folder

N_CLIPS = 6
LOST = Creation(if_empty=False, if_lost=True)
WRITE_AND_DIE = """
import os, sys
from pathlib import Path
from tiny_library import make_clip, open_library
library = open_library(Path(sys.argv[1]))
library.writer.put_many([make_clip(f"c{n}", n) for n in range(int(sys.argv[2]))])
os._exit(1)
"""


MAKE_AND_DIE = """
import os, signal, sys, time
from pathlib import Path
from tiny_library import open_library
for n in range(int(sys.argv[2])):
    pid = os.fork()
    if pid == 0:
        open_library(Path(sys.argv[1]) / str(n))
        os._exit(0)
    time.sleep(n / 3000)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""
N_KILLS = 20


def run_script(script: str, *arguments: object) -> int:
    """Run Python in a process without threads, and return its exit code."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, env=environment, check=False).returncode


def fill(path: Path, n_clips: int = N_CLIPS) -> set[str]:
    """Make a library, and return its files."""
    library = open_library(path)
    library.writer.put_many([make_clip(f"c{n}", n) for n in range(n_clips)])
    library.index.save()
    library.close()
    return stored_files(path)


def write_and_die(path: Path, n_clips: int = N_CLIPS) -> None:
    """Fill a library in a process that does not close it."""
    assert run_script(WRITE_AND_DIE, path, n_clips) == 1


def all_files(path: Path) -> dict[str, bytes]:
    """Return name and content of every file below a folder."""
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file()
    }


def are_found(library: Library, n_clips: int = N_CLIPS) -> bool:
    return all(library.audio_path(f"c{n}").read_bytes() == make_bytes(n) for n in range(n_clips))


@pytest.mark.parametrize("create", [True, False])
def test_a_library_without_catalogue_is_not_opened_and_nothing_is_changed(
    tmp_path: Path, create: bool
) -> None:
    fill(tmp_path)
    (tmp_path / "catalog.sqlite").rename(tmp_path.with_suffix(".sqlite"))
    before = all_files(tmp_path)
    with pytest.raises(LibraryError, match=r"catalog\.sqlite is missing.*minuend adopt"):
        open_library(tmp_path, create=create)
    assert all_files(tmp_path) == before
    tmp_path.with_suffix(".sqlite").rename(tmp_path / "catalog.sqlite")
    library = open_library(tmp_path)
    assert are_found(library)
    library.close()


@pytest.mark.parametrize("part", ["audio", "index", "quarantine", "tmp"])
def test_each_part_of_a_library_shows_that_there_was_one(tmp_path: Path, part: str) -> None:
    (tmp_path / part).mkdir()
    with pytest.raises(LibraryError, match=f"has {part} of a library"):
        open_library(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [part]


@pytest.mark.parametrize("content", ["empty", "without tables"])
def test_an_empty_catalogue_beside_audio_is_not_filled(tmp_path: Path, content: str) -> None:
    fill(tmp_path)
    (tmp_path / "catalog.sqlite").unlink()
    if content == "without tables":
        execute(tmp_path, "VACUUM")
        execute(tmp_path, "PRAGMA journal_mode = WAL")
        assert (tmp_path / "catalog.sqlite").stat().st_size
    else:
        (tmp_path / "catalog.sqlite").touch()
    files = stored_files(tmp_path)
    with pytest.raises(LibraryError, match=r"catalog\.sqlite is empty.*minuend adopt"):
        open_library(tmp_path)
    assert stored_files(tmp_path) == files


@pytest.mark.parametrize("catalog", ["missing", "empty"])
def test_a_log_without_its_catalogue_is_kept(tmp_path: Path, catalog: str) -> None:
    """SQLite deletes the log beside an empty file."""
    write_and_die(tmp_path)
    (tmp_path / "catalog.sqlite").rename(tmp_path.with_suffix(".sqlite"))
    if catalog == "empty":
        (tmp_path / "catalog.sqlite").touch()
    log = (tmp_path / "catalog.sqlite-wal").read_bytes()
    for create in (True, LOST):
        with pytest.raises(LibraryError, match=rf"catalog\.sqlite-wal.*{catalog}"):
            open_library(tmp_path, create=create)
    assert (tmp_path / "catalog.sqlite-wal").read_bytes() == log
    tmp_path.with_suffix(".sqlite").rename(tmp_path / "catalog.sqlite")
    library = open_library(tmp_path)
    assert are_found(library)
    library.close()


def test_an_older_catalogue_deletes_nothing_and_the_newer_one_finds_all(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    catalog, newer = tmp_path / "catalog.sqlite", tmp_path.with_suffix(".newer")
    older = catalog.read_bytes()
    files = fill(tmp_path)
    newer.write_bytes(catalog.read_bytes())

    catalog.write_bytes(older)
    open_library(tmp_path).close()
    (folder,) = Quarantine(tmp_path).folders()
    moved = {path.relative_to(folder.path).as_posix() for path in folder.files()}
    assert len(moved) == N_CLIPS - 2
    assert moved | stored_files(tmp_path) == files

    catalog.write_bytes(newer.read_bytes())
    library = open_library(tmp_path)
    assert are_found(library)
    library.close()
    assert stored_files(tmp_path) == files


def test_one_line_of_the_log_says_how_many_files_were_moved_and_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path)
    execute(tmp_path, "DELETE FROM clips WHERE id IN ('c1', 'c2')")
    open_library(tmp_path).close()
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    (folder,) = Quarantine(tmp_path).folders()
    for part in ("2 of its audio files", str(folder.path), "minuend adopt", "minuend clean"):
        assert part in line
    caplog.clear()
    open_library(tmp_path).close()
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_flipped_bit_of_a_path_in_the_catalogue_loses_no_sound(tmp_path: Path) -> None:
    """The table has each path, and an index has it again."""
    files = fill(tmp_path / "whole", 1)
    (name,) = files
    content = (tmp_path / "whole" / "catalog.sqlite").read_bytes()
    places = [n for n in range(len(content)) if content.startswith(name.encode(), n)]
    assert len(places) == 2
    for n, place in enumerate(places):
        path = tmp_path / str(n)
        shutil.copytree(tmp_path / "whole", path)
        damaged = bytearray(content)
        damaged[place + 40] ^= 1
        (path / "catalog.sqlite").write_bytes(damaged)
        open_library(path).close()
        assert stored_files(path) == files


def test_deletion_keeps_audio_that_an_index_does_not_name_any_more(tmp_path: Path) -> None:
    library = open_library(tmp_path)
    library.writer.put_many([make_clip("a", 1), make_clip("b", 1)])
    (name,) = stored_files(tmp_path)
    library.close()
    content = bytearray((tmp_path / "catalog.sqlite").read_bytes())
    # In the table, a path is followed by a media type. In the index, the later clip is first.
    in_index = next(
        n
        for n in range(len(content))
        if content.startswith(name.encode(), n)
        and not content.startswith(b"audio/wav", n + len(name))
    )
    content[in_index + 40] ^= 1
    (tmp_path / "catalog.sqlite").write_bytes(content)
    library = open_library(tmp_path)
    library.writer.delete("a")
    assert library.audio_path("b").read_bytes() == make_bytes(1)
    library.close()


@pytest.mark.parametrize("names", [[], [".keep"], ["lost+found/"], [".keep", "library.lock"]])
def test_a_library_is_made_in_a_folder_without_files(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        if name.endswith("/"):
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).touch()
    with pytest.raises(LibraryError, match="no library"):
        open_library(tmp_path, create=False)
    open_library(tmp_path).close()
    open_library(tmp_path, create=False).close()


def test_a_folder_with_other_files_is_not_made_a_library(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav", "d.wav"):
        (tmp_path / name).touch()
    with pytest.raises(LibraryError, match=r"not empty: it holds a\.wav, b\.wav, c\.wav \.\.\."):
        open_library(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_the_file_of_the_keys_may_lie_in_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "keys.txt").touch()
    with pytest.raises(LibraryError, match=r"holds keys\.txt"):
        open_library(tmp_path, create=Creation(besides=[tmp_path / "elsewhere" / "keys.txt"]))
    open_library(tmp_path, create=Creation(besides=[tmp_path / "keys.txt"])).close()


def test_a_start_that_was_killed_while_it_made_the_catalogue_is_completed(tmp_path: Path) -> None:
    """SQLite leaves an empty file, or one without tables."""
    for n, content in enumerate([b"", None]):
        path = tmp_path / str(n)
        path.mkdir()
        (path / "library.lock").touch()
        if content is None:
            execute(path, "PRAGMA journal_mode = WAL")
            assert (path / "catalog.sqlite").stat().st_size
        else:
            (path / "catalog.sqlite").write_bytes(content)
        with pytest.raises(LibraryError, match="no library"):
            open_library(path, create=False)
        open_library(path).close()


def test_a_start_killed_at_any_moment_leaves_a_folder_that_the_next_one_opens(
    tmp_path: Path,
) -> None:
    """A process is killed a little later each time while it makes a library."""
    run_script(MAKE_AND_DIE, tmp_path, N_KILLS)
    for n in range(N_KILLS):
        open_library(tmp_path / str(n)).close()


def test_a_catalogue_that_was_not_closed_is_checked_before_any_file_is_moved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_and_die(tmp_path, 30)
    with caplog.at_level("INFO"):
        open_library(tmp_path).close()
        assert "was not closed" in caplog.text
        caplog.clear()
        open_library(tmp_path).close()
        assert "was not closed" not in caplog.text


def test_a_damaged_catalogue_of_a_dead_process_is_refused_and_nothing_is_changed(
    tmp_path: Path,
) -> None:
    fill(tmp_path, 40)
    write_and_die(tmp_path, 41)
    catalog = tmp_path / "catalog.sqlite"
    content = bytearray(catalog.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 8] = bytes(8)
    catalog.write_bytes(content)
    before = all_files(tmp_path)
    with pytest.raises(LibraryError, match=r"is damaged.*backup.*\.recover"):
        open_library(tmp_path)
    after = all_files(tmp_path)
    del before["catalog.sqlite-shm"], after["catalog.sqlite-shm"]
    assert after == before


def test_the_check_is_left_out_while_another_process_has_the_library_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = open_library(tmp_path)
    first.writer.put(make_clip("a", 1))
    assert (tmp_path / "catalog.sqlite-wal").stat().st_size
    with caplog.at_level("INFO"):
        open_library(tmp_path).close()
    assert "was not closed" not in caplog.text
    first.close()


def test_an_interrupted_restore_stops_a_start(tmp_path: Path) -> None:
    (tmp_path / "restore.partial").mkdir()
    with pytest.raises(LibraryError, match="`minuend restore` again"):
        open_library(tmp_path)
    assert not (tmp_path / "catalog.sqlite").exists()


def test_a_start_does_not_wait_for_a_restore_that_runs(tmp_path: Path) -> None:
    (tmp_path / "restore.partial").mkdir()
    with (tmp_path / "library.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LibraryError, match="restore"):
            open_library(tmp_path)


@pytest.mark.parametrize("is_found_twice", [False, True])
def test_a_restore_that_ended_before_its_folder_was_removed_is_complete(
    tmp_path: Path, is_found_twice: bool
) -> None:
    """After a power cut, the catalogue that was moved last may have both names."""
    fill(tmp_path)
    staged = tmp_path / "restore.partial"
    (staged / "audio" / "ab").mkdir(parents=True)
    if is_found_twice:
        shutil.copyfile(tmp_path / "catalog.sqlite", staged / "catalog.sqlite")
    library = open_library(tmp_path)
    assert are_found(library)
    library.close()
    assert not staged.exists()


def test_files_of_a_restore_beside_a_catalogue_are_kept(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "restore.partial").mkdir()
    (tmp_path / "restore.partial" / "catalog.sqlite").write_text("another catalogue")
    with pytest.raises(LibraryError, match="restore"):
        open_library(tmp_path)
    assert (tmp_path / "restore.partial" / "catalog.sqlite").exists()


def test_nothing_is_adopted_in_a_folder_that_was_no_library(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(LibraryError, match="nothing to adopt"):
            prepare_folder(path, LOST)
