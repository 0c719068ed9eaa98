from __future__ import annotations

import errno
import hashlib
import io
import os
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


def test_files_that_no_clip_names_are_moved_into_the_quarantine(
    tmp_path: Path, store: AudioStore
) -> None:
    kept, orphan = store.stage(make_stored(CONTENT, ".flac")), store.stage(make_stored(b"orphan"))
    store.publish([kept, orphan])
    moved = store.move_orphans({kept.name})
    assert moved.n_quarantined == 1
    assert moved.quarantine is not None
    assert (moved.quarantine / orphan.name).read_bytes() == b"orphan"
    assert store.move_orphans({kept.name}).n_quarantined == 0
    assert stored_files(tmp_path) == {NAME}


def test_files_of_clips_come_back_from_the_quarantine(tmp_path: Path, store: AudioStore) -> None:
    """An older catalogue was put back, and then the right one again."""
    both = [store.stage(make_stored(content)) for content in (b"a", b"b")]
    store.publish(both)
    names = {item.name for item in both}
    assert store.move_orphans(()).n_quarantined == 2
    assert stored_files(tmp_path) == set()
    assert store.move_orphans({both[0].name}).n_returned == 1
    moved = store.move_orphans(names)
    assert (moved.n_returned, moved.n_quarantined) == (1, 0)
    assert stored_files(tmp_path) == names
    assert list((tmp_path / "quarantine").iterdir()) == []


@pytest.mark.parametrize("name", ["../../outside.wav", "/etc/passwd", "audio/ab/../../outside.wav"])
def test_a_named_path_outside_the_library_moves_nothing(tmp_path: Path, name: str) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "quarantine" / "2026-01-01T00-00-00Z").mkdir(parents=True)
    (library / "outside.wav").write_bytes(b"a file of the user")
    assert AudioStore(library).move_orphans({name}).n_returned == 0
    assert (library / "outside.wav").exists()


def test_files_that_cannot_be_moved_stay(tmp_path: Path, store: AudioStore) -> None:
    store.publish([store.stage(make_stored(CONTENT, ".flac"))])
    (tmp_path / "quarantine").write_text("in the way")
    assert store.move_orphans(()).n_quarantined == 0
    assert stored_files(tmp_path) == {NAME}


def test_a_linked_file_is_not_copied_and_keeps_its_name(tmp_path: Path, store: AudioStore) -> None:
    source = tmp_path / "source.flac"
    source.write_bytes(CONTENT)
    staged = store.stage(StoredAudio(source, DIGEST, ".flac", linked=True))
    assert staged.temporary.samefile(source)
    assert staged.size_bytes == len(CONTENT)
    store.publish([staged])
    store.remove([NAME])
    assert source.read_bytes() == CONTENT


def test_a_file_is_copied_where_links_are_not_possible(
    tmp_path: Path, store: AudioStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*names: object, **options: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    source = tmp_path / "source.flac"
    source.write_bytes(CONTENT)
    staged = store.stage(StoredAudio(source, DIGEST, ".flac", linked=True))
    assert staged.temporary.read_bytes() == CONTENT
    assert not staged.temporary.samefile(source)


def test_copies_of_a_dead_process_are_removed_and_those_of_a_living_one_stay(
    tmp_path: Path,
) -> None:
    living, dead = AudioStore(tmp_path), AudioStore(tmp_path)
    in_use = living.stage(make_stored(CONTENT))
    left = dead.stage(make_stored(CONTENT))
    dead.close()  # gives up the claim, as the end of a process does ...
    left.temporary.parent.mkdir()
    left.temporary.write_bytes(CONTENT)  # ... but a process that dies leaves its copy
    AudioStore(tmp_path).move_orphans(())
    assert in_use.temporary.exists()
    assert not left.temporary.parent.exists()


def test_closing_leaves_no_directory_behind(tmp_path: Path, store: AudioStore) -> None:
    store.stage(make_stored(CONTENT))
    store.close()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_foreign_files_in_the_directories_do_no_harm(tmp_path: Path, store: AudioStore) -> None:
    (tmp_path / "tmp" / "note.txt").write_text("hello")
    (tmp_path / "audio" / "ab" / "folder").mkdir(parents=True)
    (tmp_path / "audio" / "ab" / "note.txt").write_text("hello")
    (tmp_path / "tmp" / "mine").mkdir()
    assert store.move_orphans(()).n_quarantined == 0
    assert (tmp_path / "tmp" / "mine").exists()
    assert (tmp_path / "audio" / "ab" / "note.txt").exists()
