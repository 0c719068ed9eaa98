from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_library import execute, make_bytes, make_clip, open_library

from service.catalog.audio_store import REMOVED_SUFFIX
from service.clips import ReferencedAudio
from service.concurrency.locks import file_lock
from service.errors import ClipAudioMissingError, ClipDamagedError, LibraryError
from service.library import verify
from service.library.library import Library
from service.library.verify import STEPS, Progress, Verifier, open_verifier

N_CLIPS = 10


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Clips c0 to c9, of which two have three windows each, and a saved index."""
    library = open_library(tmp_path)
    library.writer.put_many(
        [make_clip(f"c{n}", n, n_windows=3 * (n in (4, 7))) for n in range(N_CLIPS)]
    )
    library.index.save()
    yield library
    library.close()


def check(path: Path, share: float = 1.0) -> Progress:
    with closing(open_verifier(path, share=share)) as verifier:
        for _ in verifier.run():
            pass
        assert verifier.progress.is_complete
        return verifier.progress


def faults(path: Path) -> set[tuple[str, str]]:
    progress = check(path)
    assert progress.n_damaged == len(progress.faults)
    return {(fault.part, fault.name) for fault in progress.faults}


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_an_intact_library_is_checked_completely(tmp_path: Path, library: Library) -> None:
    progress = check(tmp_path)
    assert (progress.n_damaged, progress.faults, progress.orphans) == (0, [], 0)
    counts = {"record": N_CLIPS, "vector": N_CLIPS, "window": 6, "audio": N_CLIPS}
    assert {part: n for part, n in progress.checked.items() if n} == counts


@pytest.mark.parametrize(
    ("table", "change", "expected"),
    [
        ("clips", "channels = 7", ("record", "c2")),
        ("vectors", "embedding = x'00'", ("vector", "c2")),
        ("vectors", "precision = CAST(x'ff' AS TEXT)", ("vector", "c2")),
        ("windows", "start_s = 3", ("window", "c4")),
    ],
)
def test_a_damaged_row_is_named(
    tmp_path: Path, library: Library, table: str, change: str, expected: tuple[str, str]
) -> None:
    seq, more = (5, " AND number = 2") if table == "windows" else (3, "")
    execute(tmp_path, f"UPDATE {table} SET {change} WHERE seq = {seq}{more}")
    assert faults(tmp_path) == {expected}


def test_damaged_and_missing_audio_is_named(tmp_path: Path, library: Library) -> None:
    flip(library.audio_path("c1"))
    cut = library.audio_path("c2")
    cut.write_bytes(cut.read_bytes()[:-1])
    library.audio_path("c3").unlink()
    paths = [library.catalog.get(name).path for name in ("c1", "c2", "c3")]
    assert faults(tmp_path) == {("audio", path) for path in paths}


def test_audio_that_is_read_in_place_is_checked(tmp_path: Path, library: Library) -> None:
    source = tmp_path / "sound.wav"
    source.write_bytes(make_bytes(50))
    audio = make_clip("x", 50).audio
    assert audio is not None
    size_bytes = source.stat().st_size
    clip = replace(make_clip("x", 50), audio=ReferencedAudio(source, audio.sha256, size_bytes))
    library.writer.put(clip)
    assert faults(tmp_path) == set()
    flip(source)
    assert faults(tmp_path) == {("audio", str(source))}


def test_a_snapshot_with_a_flipped_bit_is_named(tmp_path: Path, library: Library) -> None:
    (file,) = (tmp_path / "index").glob("*.faiss")
    flip(file)
    assert faults(tmp_path) == {("snapshot", "index")}


def test_rows_that_refer_to_nothing_are_named(tmp_path: Path, library: Library) -> None:
    execute(tmp_path, "DELETE FROM clips WHERE id = 'c2'")
    progress = check(tmp_path)
    assert progress.damaged["structure"] == 1
    assert "row 3 of vectors refers to a row of clips" in progress.faults[0].fault
    assert progress.orphans == 1


def test_a_page_that_sqlite_cannot_read_does_not_end_the_check(
    tmp_path: Path, library: Library
) -> None:
    ((page,),) = execute(tmp_path, "SELECT rootpage FROM sqlite_schema WHERE name = 'vectors'")
    execute(tmp_path, "PRAGMA wal_checkpoint(TRUNCATE)")
    with (tmp_path / "catalog.sqlite").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 8)
    flip(library.audio_path("c1"))
    progress = check(tmp_path)
    assert {fault.part for fault in progress.faults} == {"structure", "audio"}
    assert progress.checked["audio"] == N_CLIPS


def test_audio_that_no_clip_names_is_counted(tmp_path: Path, library: Library) -> None:
    folder = tmp_path / "audio" / "00"
    folder.mkdir(exist_ok=True)
    name = "0" * 64
    for left in (f"{name}.wav", f"{name}.wav{REMOVED_SUFFIX}", "of another program"):
        (folder / left).write_bytes(b"sound")
    progress = check(tmp_path)
    assert (progress.orphans, progress.n_damaged) == (1, 0)


def test_audio_that_was_found_damaged_is_refused_until_it_is_intact(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a file is too large to be hashed whenever it is read."""
    monkeypatch.setattr("service.library.audio_check.HASHED_ON_READ_BYTES", 0)
    path = library.audio_path("c1")
    whole = path.read_bytes()
    flip(path)
    with library.open_audio("c1"):
        pass  # nobody has looked yet
    check(tmp_path)
    with pytest.raises(ClipDamagedError, match="c1' is not the file that was added: its sha256"):
        library.open_audio("c1")
    assert library.catalog.count_damaged()["audio"] == 1
    with library.open_audio("c2"):
        pass

    path.write_bytes(whole)
    check(tmp_path)
    with library.open_audio("c1") as audio:
        assert audio.file.read() == whole
    flip(path)
    check(tmp_path)
    library.writer.put(make_clip("c1", 1))
    with library.open_audio("c1") as audio:
        assert audio.file.read() == whole
    assert library.catalog.count_damaged()["audio"] == 0


def test_small_and_cut_audio_is_refused_at_once(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(library.audio_path("c1"))
    with pytest.raises(ClipDamagedError, match="its sha256 is"):
        library.open_audio("c1")
    monkeypatch.setattr("service.library.audio_check.HASHED_ON_READ_BYTES", 0)
    with library.audio_path("c2").open("ab") as file:
        file.write(b"more")
    with pytest.raises(ClipDamagedError, match=r"it has \d+ bytes instead of \d+"):
        library.open_audio("c2")


def test_missing_audio_is_missing_and_not_marked(tmp_path: Path, library: Library) -> None:
    library.audio_path("c3").unlink()
    check(tmp_path)
    with pytest.raises(ClipAudioMissingError):
        library.open_audio("c3")


def test_a_file_that_is_replaced_during_the_check_is_not_marked(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check sees the damaged file, and then waits for the writer that replaces it."""
    flip(library.audio_path("c1"))

    def replace_and_lock(path: Path) -> object:
        library.writer.put(make_clip("c1", 1))
        return file_lock(path)

    with closing(open_verifier(tmp_path)) as verifier:
        monkeypatch.setattr(verify, "file_lock", replace_and_lock)
        for _ in verifier.run():
            pass
    assert verifier.progress.n_damaged == 0
    with library.open_audio("c1"):
        pass


def test_a_check_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "BATCH_ROWS", 3)
    monkeypatch.setattr(verify, "BATCH_FILES", 3)
    execute(tmp_path, "UPDATE clips SET channels = 7 WHERE seq = 2")
    flip(library.audio_path("c8"))
    n_runs, progress = 0, Progress()
    while not progress.is_complete:
        with closing(open_verifier(tmp_path)) as verifier:
            if n_runs:
                kept = verifier.load()
                assert kept is not None
                verifier.progress = kept
            next(verifier.run())
            verifier.keep()
            progress, n_runs = verifier.progress, n_runs + 1
    assert n_runs > len(STEPS) + 8
    assert [(fault.part, fault.name[:2]) for fault in progress.faults] == [
        ("record", "c1"),
        ("audio", "au"),
    ]
    assert progress.checked["record"] == N_CLIPS
    assert progress.checked["audio"] == N_CLIPS - 1, "not that of the damaged record"


def test_progress_in_another_copy_of_the_catalogue_does_not_count(
    tmp_path: Path, library: Library
) -> None:
    with closing(open_verifier(tmp_path)) as verifier:
        next(verifier.run())
        verifier.keep()
        assert verifier.load() is not None
        execute(tmp_path, "UPDATE writes SET token = 3")
        assert verifier.load() is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"faults": [3]}', b'{"x": 1}'])
def test_progress_that_cannot_be_read_is_not_used(
    tmp_path: Path, library: Library, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "verify.json").write_bytes(content)
    with closing(open_verifier(tmp_path)) as verifier:
        assert verifier.load() is None
    assert [item.levelno for item in caplog.records] == [logging.WARNING]


def test_a_sample_checks_about_its_share(tmp_path: Path) -> None:
    library = open_library(tmp_path)
    library.writer.put_many([make_clip(f"c{n}", n, stored=False) for n in range(2000)])
    library.close()
    checked = check(tmp_path, share=0.25).checked
    for part in ("record", "vector"):
        assert 400 < checked[part] < 600  # seven standard deviations


def test_a_folder_without_a_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="is no library"):
        open_verifier(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_brief_check_leaves_out_the_large_tables(tmp_path: Path, library: Library) -> None:
    execute(tmp_path, "DELETE FROM clips WHERE id = 'c2'")
    verifier = Verifier(
        tmp_path, library.catalog.database, state=tmp_path / "scrub.json", brief=True
    )
    assert sum(verifier.run()) > 0
    assert (verifier.progress.n_damaged, verifier.progress.orphans) == (0, 0)


@pytest.mark.parametrize("replace_by", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("x")])
def test_what_is_no_file_in_the_place_of_audio_is_damage_and_not_waited_for(
    tmp_path: Path, library: Library, replace_by: Callable[[Path], None]
) -> None:
    path = library.audio_path("c1")
    path.unlink()
    replace_by(path)

    assert [part for part, _ in faults(tmp_path)] == ["audio"]
