"""Decoded audio on disk: one memory-mapped array, so that epochs do not decode again."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int16, Int64
from tqdm import tqdm

from service.audio.decoding import RESAMPLER, RESAMPLER_QUALITY, AudioLimits, decode
from service.errors import ClientError
from training.data.manifest import SourceClip
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE

FULL_SCALE = 32767.0
DECODERS = 4


@dataclass(frozen=True, slots=True)
class ClipStore:
    """Clips as 16-bit samples at 16 kHz, one after the other.

    Attributes:
        clips: The readable clips.
        samples: All samples, memory-mapped.
        starts: First sample of each clip.
        lengths: Samples of each clip, at least 1.
    """

    clips: list[SourceClip]
    samples: Int16[np.ndarray, " samples"]
    starts: Int64[np.ndarray, " clips"]
    lengths: Int64[np.ndarray, " clips"]

    def clip(self, i: int) -> Float32[np.ndarray, " samples"]:
        """Read one whole clip, full scale 1."""
        return self.part(i, 0, int(self.lengths[i]))

    def part(self, i: int, first: int, last: int) -> Float32[np.ndarray, " samples"]:
        """Read one clip from sample `first` up to but not including `last`."""
        start = self.starts[i]
        samples = self.samples[start + first : start + min(last, int(self.lengths[i]))]
        return samples.astype(np.float32) / FULL_SCALE

    def select(self, chosen: Iterable[bool]) -> ClipStore:
        """Restrict to some of the clips; the samples are shared."""
        rows = np.flatnonzero(np.fromiter(chosen, dtype=bool, count=len(self.clips)))
        clips = [self.clips[i] for i in rows]
        return ClipStore(clips, self.samples, self.starts[rows], self.lengths[rows])


def open_store(clips: Sequence[SourceClip], cache: Path, max_unreadable: float) -> ClipStore:
    """Open the store of these clips, decoding them first if no earlier run did.

    Files are decoded and resampled by the service's own ``audio`` module. The store's name
    hashes the files' names, sizes and times and the resampler; unreadable files are listed in
    its ``unreadable.csv`` and skipped.

    Args:
        clips: The clips, in order.
        cache: Folder of all stores.
        max_unreadable: Share of unreadable files above which the data is refused.

    Raises:
        DatasetError: Too many files could not be read.
    """
    folder = cache / _key(clips)
    if not folder.is_dir():
        _build(clips, folder)
    lengths = np.load(folder / "lengths.npy")
    readable = lengths > 0
    unreadable = int((~readable).sum())
    if unreadable > max_unreadable * len(clips):
        raise DatasetError(
            f"{unreadable} of {len(clips)} files could not be read, more than the allowed share of "
            f"{max_unreadable:g}; they are listed in {folder / 'unreadable.csv'}"
        )
    starts = np.cumsum(lengths) - lengths
    return ClipStore(
        [clip for clip, keep in zip(clips, readable, strict=True) if keep],
        np.memmap(folder / "samples.i16", dtype=np.int16, mode="r"),
        starts[readable],
        lengths[readable],
    )


def _key(clips: Sequence[SourceClip]) -> str:
    content: list[object] = [RESAMPLER, RESAMPLER_QUALITY, SAMPLE_RATE]
    for clip in clips:
        if not clip.path.is_file():
            content.append([clip.name, "missing"])
            continue
        status = clip.path.stat()
        content.append([str(clip.path.resolve()), status.st_size, status.st_mtime_ns])
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _build(clips: Sequence[SourceClip], folder: Path) -> None:
    """Decode everything into a folder that appears under its name only when complete."""
    building = folder.with_suffix(".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    lengths = np.zeros(len(clips), dtype=np.int64)
    with (
        (building / "samples.i16").open("wb") as samples,
        (building / "unreadable.csv").open("w", newline="", encoding="utf-8") as unreadable,
    ):
        faults = csv.writer(unreadable)
        faults.writerow(["path", "reason"])
        progress = tqdm(_decode_all(clips), total=len(clips), desc="decoding", unit="clip")
        for i, decoded in enumerate(progress):
            if isinstance(decoded, str):
                faults.writerow([clips[i].name, decoded])
                continue
            lengths[i] = len(decoded)
            samples.write(decoded.tobytes())
    np.save(building / "lengths.npy", lengths)
    building.rename(folder)


def _decode_all(clips: Sequence[SourceClip]) -> Iterator[Int16[np.ndarray, " samples"] | str]:
    """Decode in order with a bounded number of clips in flight."""
    with ThreadPoolExecutor(DECODERS) as pool:
        for first in range(0, len(clips), 16 * DECODERS):
            yield from pool.map(_decode, clips[first : first + 16 * DECODERS])


def _decode(clip: SourceClip) -> Int16[np.ndarray, " samples"] | str:
    """Decode one clip, or say why it cannot be read."""
    try:
        audio = decode(clip.path, sample_rate=SAMPLE_RATE, limits=AudioLimits(max_seconds=7200.0))
    except (ClientError, OSError) as error:
        return str(error)
    return np.rint(audio.samples.clip(-1.0, 1.0) * FULL_SCALE).astype(np.int16)
