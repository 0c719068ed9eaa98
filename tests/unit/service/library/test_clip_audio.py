from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_library import make_bytes, make_clip, make_embedding

from service.clips import ClipRecord, NewClip, ReferencedAudio
from service.errors import ClipAudioMissingError, ClipDamagedError, ClipUnknownError
from service.library import clip_audio
from service.library.library import Library


def put_referenced(library: Library, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    audio = ReferencedAudio(path, hashlib.sha256(content).hexdigest(), len(content))
    library.writer.put(NewClip(id="a", embedding=make_embedding(0), audio=audio))


def read(library: Library, clip_id: str = "a") -> tuple[ClipRecord, bytes]:
    with library.open_audio(clip_id) as audio:
        return audio.record, audio.read_at(0, audio.size_bytes)


def run_after_reading(
    monkeypatch: pytest.MonkeyPatch, library: Library, *changes: Callable[[], object]
) -> None:
    """Make the first reads of a record be followed by these changes."""
    get, pending = library.catalog.get, list(changes)

    def get_then_change(clip_id: str) -> ClipRecord:
        record = get(clip_id)
        if pending:
            pending.pop(0)()
        return record

    monkeypatch.setattr(library.catalog, "get", get_then_change)


def put(library: Library, seed: int) -> Callable[[], object]:
    return lambda: library.writer.put(make_clip("a", seed))


def test_a_clip_that_is_replaced_meanwhile_is_opened_in_its_new_version(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(library, 0)()
    run_after_reading(monkeypatch, library, put(library, 1), put(library, 2))

    record, content = read(library)

    assert content == make_bytes(2)
    assert record.sha256 == hashlib.sha256(content).hexdigest()


def test_a_clip_that_is_deleted_meanwhile_is_unknown(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(library, 0)()
    run_after_reading(monkeypatch, library, lambda: library.writer.delete("a"))

    with pytest.raises(ClipUnknownError):
        library.open_audio("a")


def test_a_clip_that_is_always_replaced_is_not_tried_for_ever(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(library, 0)()
    changes = [put(library, seed) for seed in range(1, clip_audio.TRIES + 2)]
    run_after_reading(monkeypatch, library, *changes)

    with pytest.raises(ClipAudioMissingError):
        library.open_audio("a")


def test_open_audio_outlives_its_clip(library: Library) -> None:
    put(library, 0)()
    with library.open_audio("a") as audio:
        put(library, 1)()
        library.writer.delete("a")

        assert audio.read_at(0, 1000) == audio.file.read() == make_bytes(0)
    assert audio.file.closed


def test_a_stored_file_of_another_size_is_not_played(library: Library) -> None:
    put(library, 0)()
    library.audio_path("a").write_bytes(make_bytes(0)[:-1])

    with pytest.raises(ClipDamagedError, match=r"it has \d+ bytes instead of"):
        library.open_audio("a")


def test_audio_in_place_is_played_while_it_is_what_was_added(
    library: Library, tmp_path: Path
) -> None:
    file = tmp_path / "in-place.wav"
    put_referenced(library, file, b"some sound")
    assert [read(library)[1] for _ in range(2)] == [b"some sound"] * 2

    file.write_bytes(b"other tune")  # as long
    with pytest.raises(ClipAudioMissingError, match="was changed since it was added"):
        library.open_audio("a")

    file.write_bytes(b"some sound")
    assert read(library)[1] == b"some sound"


def test_bytes_that_were_changed_while_they_are_read_are_not_returned(
    library: Library, tmp_path: Path
) -> None:
    file = tmp_path / "in-place.wav"
    put_referenced(library, file, b"some sound")
    with library.open_audio("a") as audio:
        file.write_bytes(b"other tune")
        os.utime(file, ns=(0, 0))

        with pytest.raises(OSError, match="was changed while it was read"):
            audio.read_at(0, 10)


def test_only_so_many_digests_are_remembered(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_audio, "MAX_DIGESTS", 2)
    for number in range(4):
        content = b"sound %d" % number
        put_referenced(library, tmp_path / f"{number}.wav", content)
        assert read(library)[1] == content


@pytest.mark.parametrize("replace_by", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("x")])
def test_what_is_no_file_is_missing_and_not_waited_for(
    library: Library, tmp_path: Path, replace_by: Callable[[Path], object]
) -> None:
    file = tmp_path / "in-place.wav"
    put_referenced(library, file, b"some sound")
    file.unlink()
    replace_by(file)

    with pytest.raises(ClipAudioMissingError):
        library.open_audio("a")


def test_a_clip_without_audio_has_none_to_open(library: Library) -> None:
    library.writer.put(make_clip("vector", 0, stored=False))

    with pytest.raises(ClipAudioMissingError, match="added as a vector"):
        library.open_audio("vector")
