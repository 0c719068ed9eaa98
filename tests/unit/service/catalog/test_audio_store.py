from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from tiny_library import make_stored, stored_files

from service.catalog.audio_store import AudioStore
from service.clips import StoredAudio

CONTENT = b"a sound" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"audio/{DIGEST[:2]}/{DIGEST}.flac"


@pytest.fixture
def store(tmp_path: Path) -> AudioStore:
    return AudioStore(tmp_path)


def test_published_audio_is_complete_under_its_final_name(
    tmp_path: Path, store: AudioStore
) -> None:
    staged = store.stage(make_stored(CONTENT, ".flac"))
    assert (staged.name, staged.size_bytes) == (NAME, len(CONTENT))
    assert not (tmp_path / NAME).exists()
    store.publish([staged])
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert stored_files(tmp_path) == {NAME}


def test_audio_comes_from_a_path_or_from_the_start_of_a_file(
    tmp_path: Path, store: AudioStore
) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    file = io.BytesIO(CONTENT)
    file.seek(100)
    for origin in (source, file):
        staged = store.stage(StoredAudio(origin, DIGEST, ""))
        assert staged.temporary.read_bytes() == CONTENT
    assert source.exists()


def test_the_same_content_twice_is_one_file(tmp_path: Path, store: AudioStore) -> None:
    store.publish([store.stage(make_stored(CONTENT, ".flac")) for _ in range(2)])
    assert stored_files(tmp_path) == {NAME}


def test_audio_that_changed_since_it_was_hashed_is_refused(
    tmp_path: Path, store: AudioStore
) -> None:
    with pytest.raises(OSError, match="as announced"):
        store.stage(StoredAudio(io.BytesIO(CONTENT + b"!"), DIGEST, ".flac"))
    assert stored_files(tmp_path) == set()


def test_audio_that_cannot_be_read_leaves_nothing(tmp_path: Path, store: AudioStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.stage(StoredAudio(tmp_path / "nowhere", DIGEST, ".flac"))
    assert stored_files(tmp_path) == set()


@pytest.mark.parametrize(
    ("sha256", "extension"),
    [("../" * 21 + "a", ".wav"), (DIGEST.upper(), ".wav"), (DIGEST, "wav"), (DIGEST, "./../x")],
)
def test_names_that_could_lead_out_of_the_library_are_refused(
    store: AudioStore, sha256: str, extension: str
) -> None:
    with pytest.raises(ValueError, match="no file can be named"):
        store.stage(StoredAudio(io.BytesIO(CONTENT), sha256, extension))


def test_discarding_removes_copies_and_leaves_published_files(
    tmp_path: Path, store: AudioStore
) -> None:
    published, dropped = store.stage(make_stored(CONTENT, ".flac")), store.stage(make_stored(b"x"))
    store.publish([published])
    store.discard([published, dropped])
    assert stored_files(tmp_path) == {NAME}


def test_removing_a_file_that_is_gone_is_no_error(tmp_path: Path, store: AudioStore) -> None:
    store.publish([store.stage(make_stored(CONTENT, ".flac"))])
    store.remove([NAME])
    store.remove([NAME])
    assert stored_files(tmp_path) == set()


def test_files_that_no_clip_names_are_removed(tmp_path: Path, store: AudioStore) -> None:
    kept, orphan = store.stage(make_stored(CONTENT, ".flac")), store.stage(make_stored(b"orphan"))
    store.publish([kept, orphan])
    assert store.remove_orphans({kept.name}) == 1
    assert store.remove_orphans({kept.name}) == 0
    assert stored_files(tmp_path) == {NAME}


def test_copies_of_a_dead_process_are_removed_and_those_of_a_living_one_stay(
    tmp_path: Path,
) -> None:
    living, dead = AudioStore(tmp_path), AudioStore(tmp_path)
    in_use = living.stage(make_stored(CONTENT))
    left = dead.stage(make_stored(CONTENT))
    dead.close()  # gives up the claim, as the end of a process does ...
    left.temporary.parent.mkdir()
    left.temporary.write_bytes(CONTENT)  # ... but a process that dies leaves its copy
    assert AudioStore(tmp_path).remove_orphans(()) == 1
    assert in_use.temporary.exists()
    assert not left.temporary.parent.exists()


def test_closing_leaves_no_directory_behind(tmp_path: Path, store: AudioStore) -> None:
    store.stage(make_stored(CONTENT))
    store.close()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_foreign_files_in_the_directories_do_no_harm(tmp_path: Path, store: AudioStore) -> None:
    (tmp_path / "tmp" / "note.txt").write_text("hello")
    (tmp_path / "audio" / "ab" / "folder").mkdir(parents=True)
    assert store.remove_orphans(()) == 0
