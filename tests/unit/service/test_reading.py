from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import synth
from shell import write_tones

from service import reading
from service.audio import AudioLimits
from service.bundle import load_bundle
from service.encoder import Encoder
from service.reading import BATCH_FILES, EmbeddedFile, FileReader, Hashed, Unreadable


@pytest.fixture(scope="module")
def encoder(tiny_bundle_path: Path) -> Encoder:
    return Encoder.open(load_bundle(tiny_bundle_path), device="cpu", threads=1)


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


def test_batches_are_small(reader: FileReader, tmp_path: Path) -> None:
    files = write_tones(tmp_path, 2 * BATCH_FILES + 3)

    assert [len(batch) for batch in reader.embed(files)] == [BATCH_FILES, BATCH_FILES, 3]


def test_a_batch_ends_with_enough_audio(
    reader: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH_S", 0.6)

    assert [len(batch) for batch in reader.embed(write_tones(tmp_path, 5))] == [2, 2, 1]


def test_what_is_no_audio_stands_in_its_place(reader: FileReader, tmp_path: Path) -> None:
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


def test_what_waits_is_bounded_in_bytes(
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
