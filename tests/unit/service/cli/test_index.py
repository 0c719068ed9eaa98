from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth
import tiny_bundle
from shell import opened, records, run, run_json, write_tones

from service.bundle.files import hash_file
from service.errors import LibraryError

N_MANY = 240


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sounds"


@pytest.fixture
def paths(tmp_path: Path, tiny_bundle_path: Path) -> list[Any]:
    return ["--library", tmp_path / "library", "--bundle", tiny_bundle_path]


def test_a_folder_is_indexed_with_its_subfolders(
    folder: Path, paths: list[Any], tiny_bundle_path: Path
) -> None:
    synth.write(folder / "rain.wav", synth.noise(1))
    synth.write(folder / "birds" / "wood" / "lark.flac", synth.chirp(2000, 4000))

    assert run_json("index", folder, *paths)["added"] == 2

    rain, lark = records(paths[1], tiny_bundle_path)
    assert rain.metadata == {"name": "rain.wav", "folder": "."}
    assert lark.metadata == {"name": "lark.flac", "folder": "birds/wood"}
    assert (lark.source, lark.path) == ("referenced", str(folder / "birds/wood/lark.flac"))
    assert (lark.media_type, lark.sample_rate_hz, lark.channels) == ("audio/flac", 16_000, 1)
    sha256 = hash_file(folder / "rain.wav").sha256
    assert (rain.id, rain.sha256) == (sha256[:32], sha256)


def test_indexing_again_changes_nothing(
    folder: Path, paths: list[Any], tiny_bundle_path: Path
) -> None:
    write_tones(folder, 5)
    run("index", folder, *paths)
    with opened(paths[1], tiny_bundle_path) as library:
        revision = library.catalog.revision()

    report = run_json("index", folder, *paths)

    assert (report["added"], report["updated"], report["unchanged"]) == (0, 0, 5)
    with opened(paths[1], tiny_bundle_path) as library:
        assert library.catalog.revision() == revision


def test_the_same_content_is_one_clip(folder: Path, paths: list[Any]) -> None:
    (file,) = write_tones(folder, 1)
    shutil.copy(file, folder / "copy.wav")

    report = run_json("index", folder, *paths)

    assert (report["added"], report["duplicates"], report["clips"]) == (1, 1, 1)


def test_unreadable_files_are_listed_and_the_others_are_indexed(
    folder: Path, paths: list[Any]
) -> None:
    write_tones(folder, 3)
    (folder / "words.wav").write_bytes(b"words, not waves " * 8)
    (folder / "empty-1.ogg").touch()
    (folder / "empty-2.ogg").touch()
    (folder / "dangling.mp3").symlink_to("missing")
    os.mkfifo(folder / "pipe.wav")

    report = run_json("index", folder, *paths, code=3)

    assert report["added"] == 3
    assert {(Path(item["path"]).name, item["code"]) for item in report["unreadable"]} == {
        ("words.wav", "audio_undecodable"),
        ("empty-1.ogg", "file_empty"),
        ("empty-2.ogg", "file_empty"),
        ("dangling.mp3", "file_unreadable"),
        ("pipe.wav", "file_unreadable"),
    }

    result = run("index", folder, *paths, code=3)

    assert "3 already there" in result.stdout
    assert f"{folder / 'words.wav'}: the first bytes" in result.stderr
    assert "5 files could not be read" in result.stderr


def test_copies_remain_when_the_folder_is_removed(
    folder: Path, paths: list[Any], tiny_bundle_path: Path
) -> None:
    (file,) = write_tones(folder, 1)
    content = file.read_bytes()
    run("index", folder, "--copy", *paths)
    shutil.rmtree(folder)

    with opened(paths[1], tiny_bundle_path) as library:
        (record,) = library.page()[0]
        assert record.source == "stored"
        assert library.audio_path(record.id).read_bytes() == content
        assert library.audio_path(record.id).suffix == ".wav"


def test_copying_later_does_not_add_clips(
    folder: Path, paths: list[Any], tiny_bundle_path: Path
) -> None:
    write_tones(folder, 2)
    run("index", folder, *paths)
    before = records(paths[1], tiny_bundle_path)

    assert run_json("index", folder, "--copy", *paths)["updated"] == 2
    assert run_json("index", folder, "--copy", *paths)["unchanged"] == 2

    after = records(paths[1], tiny_bundle_path)
    assert [record.id for record in after] == [record.id for record in before]
    assert {record.source for record in after} == {"stored"}
    assert {record.media_type for record in after} == {"audio/wav"}


def test_a_moved_folder_is_recognised_with_its_metadata(
    folder: Path, paths: list[Any], tiny_bundle_path: Path
) -> None:
    (file,) = write_tones(folder, 1)
    table = folder.parent / "notes.csv"
    table.write_text(f"file,kind\n{file.name},tone\n", encoding="utf-8")
    run("index", folder, "--metadata", table, *paths)
    moved = folder.rename(folder.parent / "elsewhere")

    assert run_json("index", moved.parent, *paths)["updated"] == 1

    (record,) = records(paths[1], tiny_bundle_path)
    assert record.path == str(moved / file.name)
    assert record.metadata == {"name": file.name, "folder": "elsewhere", "kind": "tone"}


def test_a_table_adds_metadata_and_can_change_later(
    folder: Path, paths: list[Any], tiny_bundle_path: Path
) -> None:
    write_tones(folder, 2)
    table = folder / "notes.csv"
    table.write_text("file,kind,year\n000.wav,tone,1999\nmissing.wav,tone,\n", encoding="utf-8")

    report = run_json("index", folder, "--metadata", table, *paths)

    assert (report["added"], report["rows_without_file"]) == (2, ["missing.wav"])
    first, second = records(paths[1], tiny_bundle_path)
    assert first.metadata == {"name": "000.wav", "folder": ".", "kind": "tone", "year": 1999}
    assert second.metadata == {"name": "001.wav", "folder": "."}

    table.write_text("file,kind\n000.wav,beep\n", encoding="utf-8")

    assert run_json("index", folder, "--metadata", table, *paths)["updated"] == 1
    assert run_json("index", folder, "--metadata", table, *paths)["unchanged"] == 2
    assert run_json("index", folder, *paths)["unchanged"] == 2
    first, _ = records(paths[1], tiny_bundle_path)
    assert first.metadata == {"name": "000.wav", "folder": ".", "kind": "beep"}


def test_an_invalid_table_is_an_error_before_indexing(folder: Path, paths: list[Any]) -> None:
    write_tones(folder, 1)
    table = folder / "notes.csv"
    table.write_text("name,kind\n", encoding="utf-8")

    assert "'file'" in run("index", folder, "--metadata", table, *paths, code=1).stderr
    assert not paths[1].exists()


def test_the_library_itself_is_not_indexed(folder: Path, tiny_bundle_path: Path) -> None:
    write_tones(folder, 2)
    paths = ["--library", folder / "library", "--bundle", tiny_bundle_path, "--copy"]
    run("index", folder, *paths)

    report = run_json("index", folder, *paths)

    assert (report["unchanged"], report["duplicates"]) == (2, 0)


def test_a_library_of_another_encoder_is_refused(
    folder: Path, paths: list[Any], tmp_path: Path
) -> None:
    write_tones(folder, 1)
    run("index", folder, *paths)
    other = tiny_bundle.write(tmp_path / "other", seed=1)

    result = run("index", folder, *paths[:2], "--bundle", other, code=1)

    assert "embedded by encoder" in result.stderr


def test_a_missing_folder_is_a_usage_error(paths: list[Any]) -> None:
    run("index", "missing", *paths, code=2)


def test_indexing_continues_after_a_kill(
    folder: Path, paths: list[Any], tiny_bundle_path: Path
) -> None:
    files = write_tones(folder, N_MANY, duration_s=1.0)
    command = [sys.executable, "-m", "service.cli", "index", folder, *paths]

    with subprocess.Popen(list(map(str, command))) as process:
        n_killed = wait_for_clips(paths[1], tiny_bundle_path, process)
        process.kill()

    assert process.returncode < 0, "the process ended before it was killed"
    report = run_json("index", folder, *paths)
    assert report["unchanged"] >= n_killed
    assert report["added"] == N_MANY - report["unchanged"]
    clips = records(paths[1], tiny_bundle_path)
    assert [clip.metadata["name"] for clip in clips] == [file.name for file in files]
    with opened(paths[1], tiny_bundle_path) as library:
        assert all(np.isfinite(library.catalog.embedding(clip.id)).all() for clip in clips)


def wait_for_clips(library: Path, bundle: Path, process: subprocess.Popen[bytes]) -> int:
    """Wait until a process has added some clips to a library."""
    while process.poll() is None:
        try:
            with opened(library, bundle) as found:
                while process.poll() is None:
                    if n_clips := found.catalog.count():
                        return n_clips
                    time.sleep(0.002)
        except LibraryError:  # the library does not exist yet
            time.sleep(0.02)
    raise AssertionError("the process ended before it added a clip")


def test_windows_of_long_files_are_kept_when_their_metadata_changes(
    folder: Path, paths: list[Any], tiny_bundle_path: Path, tmp_path: Path
) -> None:
    synth.write(folder / "long.wav", synth.noise(1, 25.0))
    synth.write(folder / "longest.wav", synth.noise(2, 70.0))
    synth.write(folder / "short.wav", synth.noise(3, 10.0))
    run("index", folder, *paths)
    with opened(paths[1], tiny_bundle_path) as library:
        (name,) = (r.id for r in library.page()[0] if r.metadata["name"] == "long.wav")
        before = library.catalog.windows(name)
    table = tmp_path / "notes.csv"
    table.write_text("file,take\nlong.wav,7\n", encoding="utf-8")

    assert run_json("index", folder, "--metadata", table, *paths)["updated"] == 1

    found = {r.metadata["name"]: r.windows for r in records(paths[1], tiny_bundle_path)}
    assert found == {"long.wav": 4, "longest.wav": 13, "short.wav": 0}
    with opened(paths[1], tiny_bundle_path) as library:
        after = library.catalog.windows(name)
        assert library.catalog.get(name).metadata["take"] == 7
        assert library.index.n_vectors() == 3 + 4 + 13
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(after.embeddings, before.embeddings)
    np.testing.assert_array_equal(after.starts_s, before.starts_s)
