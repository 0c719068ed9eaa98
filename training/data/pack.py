"""Training clips in one small file, to be passed to another machine.

The file is a ZIP archive: ``pack.json`` says what the clips were chosen by, ``clips.csv`` has the
rows of the manifest and the number of samples of each clip, and every ``audio-NNN.opus`` holds
about ten minutes of clips, one after the other, at 16 kHz. Log-mels would be three times as large
even with 8 bits a value.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Int16

from service.audio.decoding import decode
from service.concurrency.durable import atomic_write, staged_folder
from training.data.manifest import SourceClip
from training.data.store import DECODERS, LIMITS, ClipStore, load_store
from training.data.wav import to_int16
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE
from training.recipe import Recipe

FORMAT = 1
ABOUT, CLIPS = "pack.json", "clips.csv"
NAME, SAMPLES = "pack:name", "pack:samples"  # columns beside those of the manifest
CHUNK_S = 600
LOWEST_BPS, HIGHEST_BPS = 6_000, 64_000
STEP_BPS = 250_000  # libsndfile maps its compression level, 1 to 0, to 6,000 to 256,000 bit/s
TRIES = 4
SAMPLED = 10  # one of so many chunks tells which setting gives a bit rate
CHOICE = ("where", "exclude", "leave_out", "max_files")
"""Settings of a recipe that choose its clips."""


@dataclass(frozen=True, slots=True)
class PackReport:
    """Contents and size of a pack.

    Attributes:
        clips: Number of clips.
        seconds: Duration of all [s].
        size_bytes: Size of the file.
        bitrate_bps: Bit rate that the encoder was set to [bit/s].
    """

    clips: int
    seconds: float
    size_bytes: int
    bitrate_bps: int


def write_pack(path: Path, store: ClipStore, recipe: Recipe, max_bytes: int) -> PackReport:
    """Write all clips of a store, at the highest bit rate up to 64 kbit/s that fits.

    Args:
        path: The file to write.
        store: The clips that the recipe chooses, those held out included.
        recipe: The recipe.
        max_bytes: Largest size of the file.

    Raises:
        DatasetError: The clips do not fit at 6 kbit/s.
    """
    seconds = float(store.lengths.sum()) / SAMPLE_RATE
    texts = {CLIPS: _table(store), ABOUT: json.dumps(choice_of(recipe), indent=2)}
    around = len(_archive(texts, []))
    room = max_bytes - around
    bitrate = _calibrate(store, room * 8 / seconds)
    for _ in range(TRIES):
        if bitrate < LOWEST_BPS:
            break
        archive = _archive(texts, _encode_all(store, bitrate))
        if len(archive) <= max_bytes:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as file:
                file.write(archive)
            return PackReport(len(store.clips), seconds, len(archive), round(bitrate))
        bitrate *= 0.99 * room / (len(archive) - around)
    raise DatasetError(
        f"{seconds / 3600:.1f} hours do not fit into {max_bytes:,} bytes at {LOWEST_BPS:,} bit/s"
    )


def choice_of(recipe: Recipe) -> dict[str, Any]:
    """Return the settings that the clips of a pack were chosen by."""
    chosen = recipe.data.model_dump(mode="json")
    seed = recipe.seed if recipe.data.max_files is not None else None
    return {"format": FORMAT, "seed": seed, "data": {name: chosen[name] for name in CHOICE}}


def is_pack(path: Path) -> bool:
    """Tell whether a file is a pack."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return ABOUT in archive.namelist()


def open_pack(path: Path, cache: Path, recipe: Recipe) -> ClipStore:
    """Open the clips of a pack; decode them into the cache if no earlier run has.

    Raises:
        DatasetError: The pack was made for another choice of clips, or it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        found = json.loads(archive.read(ABOUT))
        if found != choice_of(recipe):
            raise DatasetError(f"{path} was packed by a recipe with another choice of clips")
        rows = list(csv.DictReader(io.StringIO(archive.read(CLIPS).decode())))
    lengths = np.array([int(row.pop(SAMPLES)) for row in rows], np.int64)
    clips = [SourceClip(path.parent, row.pop(NAME), row) for row in rows]
    with path.open("rb") as file:
        folder = cache / hashlib.file_digest(file, "sha256").hexdigest()[:16]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with staged_folder(folder) as staged:
            _decode_all(path, lengths, staged)
    return load_store(clips, folder)


def _table(store: ClipStore) -> str:
    """Write the rows of the clips; ``rows`` of a folder of audio have no columns."""
    columns = sorted({column for clip in store.clips for column in clip.columns})
    text = io.StringIO()
    table = csv.DictWriter(text, [NAME, SAMPLES, *columns], lineterminator="\n")
    table.writeheader()
    for clip, length in zip(store.clips, store.lengths, strict=True):
        table.writerow({NAME: clip.name, SAMPLES: int(length), **clip.columns})
    return text.getvalue()


def _archive(texts: dict[str, str], chunks: Sequence[bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text, zipfile.ZIP_DEFLATED)
        for number, chunk in enumerate(chunks):
            archive.writestr(f"audio-{number:03}.opus", chunk)
    return buffer.getvalue()


def _chunks(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Divide clips into runs of at least ten minutes; return first and last + 1 of each."""
    bounds, first, samples = [], 0, 0
    for number, length in enumerate(lengths):
        samples += length
        if samples >= CHUNK_S * SAMPLE_RATE or number + 1 == len(lengths):
            bounds.append((first, number + 1))
            first, samples = number + 1, 0
    return bounds


def _calibrate(store: ClipStore, wanted_bps: float) -> float:
    """Find the setting that gives a bit rate, at most 64 kbit/s, on a tenth of the chunks.

    The encoder spends more on dense sounds than it is told to, and less on silence.
    """
    sample = _chunks(store.lengths.tolist())[::SAMPLED]
    seconds = sum(int(store.lengths[first:last].sum()) for first, last in sample) / SAMPLE_RATE
    setting = min(max(wanted_bps, LOWEST_BPS), HIGHEST_BPS)
    found = sum(map(len, _encode_all(store, setting, sample))) * 8 / seconds
    return min(setting * 0.99 * wanted_bps / found, HIGHEST_BPS)


def _encode_all(
    store: ClipStore, bitrate_bps: float, chunks: Sequence[tuple[int, int]] | None = None
) -> list[bytes]:
    """Encode all chunks, or some."""

    def encode(bounds: tuple[int, int]) -> bytes:
        samples = np.concatenate([store.clip(i) for i in range(*bounds)])
        level = 1.0 - (bitrate_bps - LOWEST_BPS) / STEP_BPS
        file = io.BytesIO()
        soundfile.write(file, samples, SAMPLE_RATE, "OPUS", format="OGG", compression_level=level)
        return file.getvalue()

    with ThreadPoolExecutor(DECODERS) as pool:
        return list(pool.map(encode, chunks or _chunks(store.lengths.tolist())))


def _decode_all(path: Path, lengths: np.ndarray, folder: Path) -> None:
    """Decode the chunks into the folder of a store."""
    with (folder / "samples.i16").open("wb") as samples, zipfile.ZipFile(path) as archive:
        bounds = _chunks(lengths.tolist())
        contents = (archive.read(f"audio-{i:03}.opus") for i in range(len(bounds)))
        for (first, last), chunk in zip(bounds, _decode(contents), strict=True):
            expected = int(lengths[first:last].sum())
            if chunk.size != expected:
                raise DatasetError(f"{path} is damaged: {chunk.size} samples, not {expected}")
            samples.write(chunk.tobytes())
    np.save(folder / "lengths.npy", lengths)


def _decode(contents: Iterator[bytes]) -> Iterator[Int16[np.ndarray, " samples"]]:
    def one(content: bytes) -> Int16[np.ndarray, " samples"]:
        decoded = decode(io.BytesIO(content), sample_rate=SAMPLE_RATE, limits=LIMITS)
        return to_int16(decoded.samples)

    with ThreadPoolExecutor() as pool:
        yield from pool.map(one, contents)
