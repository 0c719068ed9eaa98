from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import synth
from shell import write_tones

from service.audio.decoding import AudioLimits
from service.inference.encoder import Encoder
from service.inference.pooling import Windowing
from service.library import file_reader as reading
from service.library.file_reader import BATCH_FILES, EmbeddedFile, FileReader, Hashed, Unreadable


@pytest.fixture
def reader(encoder: Encoder) -> Iterator[FileReader]:
    with FileReader(encoder, limits=AudioLimits(max_seconds=5.0)) as reader:
        yield reader


def test_files_are_embedded_in_their_order(
    reader: FileReader, encoder: Encoder, tmp_path: Path
) -> None:
    files = write_tones(tmp_path, 2 * BATCH_FILES + 3)

    items = [item for batch in reader.embed(files) for item in batch]

    assert [item.path for item in items] == files
    for n, item in enumerate(items):
        assert isinstance(item, EmbeddedFile)
        expected = encoder.embed([synth.tone(100 + 23 * n, 0.3)])[0]
        np.testing.assert_allclose(item.embedding, expected, atol=1e-3)


def test_a_batch_ends_with_enough_audio(
    reader: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH_S", 0.6)

    assert [len(batch) for batch in reader.embed(write_tones(tmp_path, 5))] == [2, 2, 1]


def test_a_file_that_is_not_audio_is_reported_at_its_position(
    reader: FileReader, tmp_path: Path
) -> None:
    good = synth.write(tmp_path / "good.wav", synth.tone(440))
    long = synth.write(tmp_path / "long.wav", synth.silence(6.0))
    paths = [tmp_path / "missing.wav", good, tmp_path, long]

    (batch,) = reader.embed(paths)

    assert [item.path for item in batch] == paths
    assert [getattr(item, "code", None) for item in batch] == [
        "file_unreadable",
        None,
        "file_unreadable",
        "audio_too_long",
    ]
    assert isinstance(batch[0], Unreadable)
    assert batch[0].reason == "No such file or directory"


def test_content_is_hashed_and_changes_are_noticed(reader: FileReader, tmp_path: Path) -> None:
    (file,) = write_tones(tmp_path, 1)

    (hashed,) = reader.hash([file])

    assert isinstance(hashed, Hashed)
    assert hashed.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert hashed.size_bytes == file.stat().st_size
    assert hashed.is_unchanged()
    file.write_bytes(file.read_bytes() + b"more")
    assert not hashed.is_unchanged()
    file.unlink()
    assert not hashed.is_unchanged()


def test_files_are_decoded_while_others_are_encoded(
    reader: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the consumer stopped after the first batch, the files after it are decoded."""
    files = write_tones(tmp_path, BATCH_FILES + 4)
    last_is_decoded = threading.Event()
    decode = reading.decode

    def noticed(file: object, **options: object) -> object:
        if getattr(file, "name", None) == str(files[-1]):
            last_is_decoded.set()
        return decode(file, **options)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(reading, "decode", noticed)
    batches = reader.embed(files)
    next(batches)

    assert last_is_decoded.wait(30)


def test_files_that_are_read_ahead_are_bounded_in_bytes(
    reader: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_tones(tmp_path, 6)
    monkeypatch.setattr(reading, "AHEAD_BYTES", 2 * files[0].stat().st_size)
    taken: list[Path] = []

    def paths() -> Iterator[Path]:
        for file in files:
            taken.append(file)
            yield file

    hashed = reader.hash(paths())
    next(hashed)

    assert taken == files[:3]
    assert len(list(hashed)) == 5


WINDOWING = Windowing(2.0, 1.0, beyond_s=2.0)


@pytest.fixture
def cutting(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileReader]:
    """A reader that cuts files of more than 2 s, and holds none of more than 4 s as a whole."""
    monkeypatch.setattr(reading, "WHOLE_S", 4.0)
    limits = AudioLimits(max_seconds=40.0)
    with FileReader(encoder, limits=limits, windowing=WINDOWING) as reader:
        yield reader


def test_long_files_are_cut_into_windows_by_the_same_pass(
    cutting: FileReader, encoder: Encoder, tmp_path: Path
) -> None:
    lengths_s = [1.0, 3.0, 33.0, 2.0, 5.5]
    sounds = [synth.noise(n, length_s) for n, length_s in enumerate(lengths_s)]
    files = [
        synth.write(tmp_path / f"{n}.wav", sound, subtype="FLOAT") for n, sound in enumerate(sounds)
    ]

    items = [item for batch in cutting.embed(files) for item in batch]

    assert [item.path for item in items] == files
    for item, sound, length_s in zip(items, sounds, lengths_s, strict=True):
        assert isinstance(item, EmbeddedFile)
        assert item.info.duration_s == length_s
        (whole,) = encoder.embed([sound])
        np.testing.assert_allclose(item.embedding, whole, atol=1e-5 * whole.max())
        if length_s <= 2:
            assert item.windows is None
            continue
        expected = encoder.embed_windows(sound, window_s=2.0, hop_s=1.0)
        assert item.windows is not None
        for name in ("whole", "embeddings", "starts_s", "ends_s"):
            found = getattr(item.windows, name)
            np.testing.assert_allclose(found, getattr(expected, name), atol=1e-5 * whole.max())


def test_faults_of_long_files_are_reported(cutting: FileReader, tmp_path: Path) -> None:
    too_long = synth.write(tmp_path / "a.wav", synth.silence(41.0))
    damaged = synth.write(tmp_path / "b.flac", synth.noise(0, 20.0))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = bytes(20_000)
    damaged.write_bytes(content)
    good = synth.write(tmp_path / "c.wav", synth.tone(440, 6.0))

    items = [item for batch in cutting.embed([too_long, damaged, good]) for item in batch]

    codes = [getattr(item, "code", None) for item in items]
    assert codes == ["audio_too_long", "audio_truncated", None]


def test_no_long_file_is_decoded_as_a_whole(
    cutting: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    run = Encoder.run

    def noted(self: Encoder, clips: list[np.ndarray], *arguments: str, **options: bool) -> object:
        sizes.extend(clip.size for clip in clips)
        return run(self, clips, *arguments, **options)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(Encoder, "run", noted)
    monkeypatch.setattr(Encoder, "embed_windows", None)
    file = synth.write(tmp_path / "long.wav", synth.noise(0, 39.0))

    (batch,) = cutting.embed([file])

    assert isinstance(batch[0], EmbeddedFile)
    assert max(sizes) <= 16 * 16_000
