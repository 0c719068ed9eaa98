from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import synth
from file_windows import embed_windows
from shell import write_tones

from service.audio.decoding import AudioLimits
from service.inference.encoder import Encoder
from service.inference.pooling import Windowing
from service.library import file_reader
from service.library.file_reader import (
    AHEAD_FILES,
    BATCH_FILES,
    EmbeddedFile,
    FileReader,
    Hashed,
    Unreadable,
)

TIMEOUT_S = 30
WINDOWING = Windowing(2.0, 1.0, beyond_s=2.0)


@pytest.fixture
def reader(encoder: Encoder) -> Iterator[FileReader]:
    with FileReader(encoder, limits=AudioLimits(max_seconds=40.0)) as reader:
        yield reader


@pytest.fixture
def window_reader(encoder: Encoder) -> Iterator[FileReader]:
    limits = AudioLimits(max_seconds=40.0)
    with FileReader(encoder, limits=limits, windowing=WINDOWING) as reader:
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


def test_a_batch_has_a_limited_number_of_files(reader: FileReader, tmp_path: Path) -> None:
    files = write_tones(tmp_path, 2 * BATCH_FILES + 3)

    assert [len(batch) for batch in reader.embed(files)] == [BATCH_FILES, BATCH_FILES, 3]


def test_a_batch_has_a_limited_amount_of_audio(
    reader: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_reader, "BATCH_S", 0.6)

    assert [len(batch) for batch in reader.embed(write_tones(tmp_path, 5))] == [2, 2, 1]


def test_files_that_cannot_be_read_keep_their_place_and_do_not_stop_the_others(
    window_reader: FileReader, tmp_path: Path
) -> None:
    damaged = synth.write(tmp_path / "damaged.flac", synth.noise(0, 20.0))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = bytes(20_000)
    damaged.write_bytes(content)
    no_audio = tmp_path / "no_audio.wav"
    no_audio.write_bytes(b"not an audio file" * 9)
    too_long = synth.write(tmp_path / "too_long.wav", synth.silence(41.0))
    good = [synth.write(tmp_path / f"{n}.wav", synth.tone(440, 6.0)) for n in range(3)]
    paths = [
        good[0],
        tmp_path / "missing.wav",
        damaged,
        good[1],
        tmp_path,
        no_audio,
        too_long,
        good[2],
    ]

    items = [item for batch in window_reader.embed(paths) for item in batch]

    assert [item.path for item in items] == paths
    assert [getattr(item, "code", None) for item in items] == [
        None,
        "file_unreadable",
        "audio_truncated",
        None,
        "file_unreadable",
        "audio_undecodable",
        "audio_too_long",
        None,
    ]
    assert isinstance(items[1], Unreadable)
    assert items[1].reason == "No such file or directory"


def test_a_file_with_too_many_windows_does_not_stop_the_others(
    window_reader: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        window_reader._embedder, "limits", file_reader.RequestLimits(AudioLimits(), 3)
    )
    paths = [synth.write(tmp_path / f"{n}.wav", synth.noise(n, n)) for n in (30, 3)]

    (batch,) = window_reader.embed(paths)

    assert [getattr(item, "code", None) for item in batch] == ["window_invalid", None]


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


def test_files_are_read_while_the_consumer_works(
    reader: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the consumer has the first batch, the files after it are embedded."""
    files = write_tones(tmp_path, BATCH_FILES + 4)
    last_is_embedded = threading.Event()
    embed = reader._embedder.embed

    def noticed(opened: list[object], *arguments: object, **options: object) -> object:
        embedded = embed(opened, *arguments, **options)  # type: ignore[arg-type]  # passed on
        if getattr(opened[0], "name", None) == str(files[-1]):
            last_is_embedded.set()
        return embedded

    monkeypatch.setattr(reader._embedder, "embed", noticed)
    batches = reader.embed(files)
    next(batches)

    assert last_is_embedded.wait(TIMEOUT_S)


def test_what_is_read_ahead_is_bounded_in_bytes(
    reader: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_tones(tmp_path, 6)
    monkeypatch.setattr(file_reader, "AHEAD_BYTES", 2 * files[0].stat().st_size)
    started: list[Path] = []

    def paths() -> Iterator[Path]:
        for file in files:
            started.append(file)
            yield file

    hashed = reader.hash(paths())
    next(hashed)

    assert started == files[:3]
    assert len(list(hashed)) == 5


def test_short_files_share_runs_of_the_encoder(
    reader: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_clips: list[int] = []
    run, first = Encoder.run, threading.Event()

    def noted(self: Encoder, clips: list[np.ndarray], *arguments: str, **options: bool) -> object:
        n_clips.append(len(clips))
        if len(n_clips) == 1:  # until all threads have submitted a clip
            first.wait(0.5)
        return run(self, clips, *arguments, **options)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(Encoder, "run", noted)
    for _ in reader.embed(write_tones(tmp_path, 2 * AHEAD_FILES)):
        pass

    assert sum(n_clips) == 2 * AHEAD_FILES
    assert max(n_clips) > 1


def test_long_files_are_cut_into_windows(
    window_reader: FileReader, encoder: Encoder, tmp_path: Path
) -> None:
    lengths_s = [1.0, 3.0, 33.0, 2.0, 5.5]
    sounds = [synth.noise(n, length_s) for n, length_s in enumerate(lengths_s)]
    files = [
        synth.write(tmp_path / f"{n}.wav", sound, subtype="FLOAT") for n, sound in enumerate(sounds)
    ]

    items = [item for batch in window_reader.embed(files) for item in batch]

    assert [item.path for item in items] == files
    for item, sound, length_s in zip(items, sounds, lengths_s, strict=True):
        assert isinstance(item, EmbeddedFile)
        assert item.info.duration_s == length_s
        (whole,) = encoder.embed([sound])
        np.testing.assert_allclose(item.embedding, whole, atol=1e-5 * whole.max())
        if length_s <= 2:
            assert item.windows is None
            continue
        expected = embed_windows(encoder, sound, window_s=2.0, hop_s=1.0)
        assert item.windows is not None
        for name in ("whole", "embeddings", "starts_s", "ends_s"):
            found = getattr(item.windows, name)
            np.testing.assert_allclose(found, getattr(expected, name), atol=1e-5 * whole.max())


def test_a_long_file_is_encoded_in_chunks(
    window_reader: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    run = Encoder.run

    def noted(self: Encoder, clips: list[np.ndarray], *arguments: str, **options: bool) -> object:
        sizes.extend(clip.size for clip in clips)
        return run(self, clips, *arguments, **options)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(Encoder, "run", noted)
    file = synth.write(tmp_path / "long.wav", synth.noise(0, 39.0))

    (batch,) = window_reader.embed([file])

    assert isinstance(batch[0], EmbeddedFile)
    assert max(sizes) <= 16 * 16_000


def test_leaving_the_context_ends_files_in_progress(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt does not wait until long files are embedded."""
    n_runs = 0
    run = Encoder.run

    def counted(self: Encoder, clips: list[np.ndarray], *arguments: str, **options: bool) -> object:
        nonlocal n_runs
        n_runs += 1
        return run(self, clips, *arguments, **options)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(Encoder, "run", counted)
    short = synth.write(tmp_path / "short.wav", synth.tone(440))
    long = synth.write(tmp_path / "long.wav", synth.silence(1500.0))
    with FileReader(encoder, limits=AudioLimits()) as reader:
        monkeypatch.setattr(file_reader, "BATCH_FILES", 1)
        next(reader.embed([short, long]))

    assert n_runs < 50
