"""Cache of embeddings on disk, one file for each encoder and data set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from service.audio.decoding import decode
from service.concurrency.durable import atomic_write
from service.errors import ClientError
from training.data.store import LIMITS
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE

BATCH = 32
DECODERS = 2

Load = Callable[[int], Float32[np.ndarray, " samples"]]


class Embeds(Protocol):
    """Turns clips into rows of values."""

    @property
    def identity(self) -> str:
        """A text that differs wherever the rows differ."""

    def embed(
        self, clips: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "clips dim"]:
        """Embed clips at 16 kHz, of any length."""


def embed_cached(
    embedder: Embeds, load: Load, n: int, data: str, cache: Path
) -> Float32[np.ndarray, "clips dim"]:
    """Embed clips, or read the file of an earlier call with the same encoder and data.

    Args:
        embedder: The encoder, its statistics set.
        load: Reads the samples of a clip by its number.
        n: Number of clips.
        data: Hash of everything that the sounds of ``load`` depend on.
        cache: Folder of all caches.

    Returns:
        The embeddings, mapped into memory from the cache.
    """
    name = hashlib.sha256(f"{embedder.identity} {data}".encode()).hexdigest()[:24]
    path = cache / "embeddings" / f"{name}.npy"
    if not path.is_file():
        _write(path, _embed_all(embedder, load, n), n)
    embeddings: np.ndarray = np.load(path, mmap_mode="r")
    return embeddings


def read_sound(path: Path) -> Float32[np.ndarray, " samples"]:
    """Decode a file to mono at 16 kHz.

    Raises:
        DatasetError: It cannot be read.
    """
    try:
        return decode(path, sample_rate=SAMPLE_RATE, limits=LIMITS).samples
    except (ClientError, OSError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def fit_length(
    clip: Float32[np.ndarray, " samples"], samples: int, start: int = 0
) -> Float32[np.ndarray, " samples"]:
    """Cut a clip to a length from a start on, or pad it with zeros."""
    cut = clip[start : start + samples]
    return np.pad(cut, (0, samples - cut.size))


def hash_parts(parts: Sequence[object]) -> str:
    """Hash the parts of an identity of a data set."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def hash_files(paths: Sequence[Path]) -> str:
    """Hash names, sizes and modification times of files, as a cheap identity of their content.

    Raises:
        DatasetError: A file does not exist.
    """
    parts: list[object] = []
    for path in paths:
        if not path.is_file():
            raise DatasetError(f"{path} is named but not there")
        status = path.stat()
        parts.append((path.name, status.st_size, status.st_mtime_ns))
    return hash_parts(parts)


def _embed_all(embedder: Embeds, load: Load, n: int) -> Iterator[Float32[np.ndarray, "clips dim"]]:
    """Embed batches of clips in order; the next batch is decoded while one is encoded."""
    with (
        ThreadPoolExecutor(DECODERS) as pool,
        tqdm(total=n, desc="embedding", unit="clip") as bar,
    ):
        ahead = [pool.submit(load, i) for i in range(min(BATCH, n))]
        for first in range(0, n, BATCH):
            clips = [clip.result() for clip in ahead]
            following = range(first + BATCH, min(first + 2 * BATCH, n))
            ahead = [pool.submit(load, i) for i in following]
            yield embedder.embed(clips)
            bar.update(len(clips))


def _write(path: Path, batches: Iterator[Float32[np.ndarray, "clips dim"]], n: int) -> None:
    """Write batches as one array; the file is there complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        for number, batch in enumerate(batches):
            if number == 0:
                shape = (n, batch.shape[1])
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(batch.astype("<f4", copy=False).tobytes())
        if n == 0:
            raise DatasetError("there is nothing to embed")
