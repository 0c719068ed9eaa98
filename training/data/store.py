"""Store of decoded audio: one memory-mapped array, so that files are decoded only once."""

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
from service.concurrency.durable import staged_folder
from service.errors import ClientError
from training.data.manifest import SourceClip
from training.data.wav import FULL_SCALE, to_int16
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE

LONGEST_S = 7200
LIMITS = AudioLimits(max_seconds=LONGEST_S, max_samples=LONGEST_S * SAMPLE_RATE)
"""Limits of a file that training or an evaluation reads."""
DECODERS = 4


@dataclass(frozen=True, slots=True)
class ClipStore:
    """Clips as 16-bit samples at 16 kHz, one after the other.

    Attributes:
        clips: The readable clips.
        samples: All samples, memory-mapped.
        starts: First sample of each clip.
        lengths: Number of samples of each clip, at least 1.
    """

    clips: list[SourceClip]
    samples: Int16[np.ndarray, " samples"]
    starts: Int64[np.ndarray, " clips"]
    lengths: Int64[np.ndarray, " clips"]

    def clip(self, i: int) -> Float32[np.ndarray, " samples"]:
        """Read one whole clip, full scale 1."""
        return self.part(i, 0, int(self.lengths[i]))

    def part(self, i: int, first: int, last: int) -> Float32[np.ndarray, " samples"]:
        """Read the samples ``first`` to ``last - 1`` of a clip, full scale 1."""
        start = self.starts[i]
        samples = self.samples[start + first : start + min(last, int(self.lengths[i]))]
        return samples.astype(np.float32) / FULL_SCALE

    def select(self, chosen: Iterable[bool]) -> ClipStore:
        """Select some of the clips; the samples are shared."""
        rows = np.flatnonzero(np.fromiter(chosen, dtype=bool, count=len(self.clips)))
        clips = [self.clips[i] for i in rows]
        return ClipStore(clips, self.samples, self.starts[rows], self.lengths[rows])


def open_store(clips: Sequence[SourceClip], cache: Path, max_unreadable: float) -> ClipStore:
    """Open the store of these clips; decode them first if no earlier run has.

    Files are decoded and resampled by ``service.audio``, as the service does it. The name of the
    store is a hash of the resampler and of the files' names, sizes and times. Unreadable files
    are skipped, and listed in the store's ``unreadable.csv``.

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
    unreadable = int((np.load(folder / "lengths.npy") == 0).sum())
    if unreadable > max_unreadable * len(clips):
        raise DatasetError(
            f"{unreadable} of {len(clips)} files could not be read, more than the allowed share of "
            f"{max_unreadable:g}; they are listed in {folder / 'unreadable.csv'}"
        )
    return load_store(clips, folder)


def load_store(clips: Sequence[SourceClip], folder: Path) -> ClipStore:
    """Open the folder of a store.

    Args:
        clips: All clips of the store, in order; those without samples are left out.
        folder: Its folder.
    """
    lengths = np.load(folder / "lengths.npy")
    readable = lengths > 0
    starts = np.cumsum(lengths) - lengths
    return ClipStore(
        [clip for clip, is_readable in zip(clips, readable, strict=True) if is_readable],
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
    """Decode all clips into the folder of a new store."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for interrupted in folder.parent.glob(f".{folder.name}.*.tmp"):
        shutil.rmtree(interrupted)
    lengths = np.zeros(len(clips), dtype=np.int64)
    with staged_folder(folder) as staged:
        with (
            (staged / "samples.i16").open("wb") as samples,
            (staged / "unreadable.csv").open("w", newline="", encoding="utf-8") as unreadable,
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
        np.save(staged / "lengths.npy", lengths)


def _decode_all(clips: Sequence[SourceClip]) -> Iterator[Int16[np.ndarray, " samples"] | str]:
    """Decode in order by several threads; a limited number of clips is in memory at once."""
    with ThreadPoolExecutor(DECODERS) as pool:
        for first in range(0, len(clips), 16 * DECODERS):
            yield from pool.map(_decode, clips[first : first + 16 * DECODERS])


def _decode(clip: SourceClip) -> Int16[np.ndarray, " samples"] | str:
    """Decode one clip; if it cannot be read, return the reason."""
    try:
        audio = decode(clip.path, sample_rate=SAMPLE_RATE, limits=LIMITS)
    except (ClientError, OSError) as error:
        return str(error)
    return to_int16(audio.samples)
