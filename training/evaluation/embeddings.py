"""Embeddings on disk, computed once for each encoder and data set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from service.audio.decoding import decode
from service.errors import ClientError
from training.data.store import LIMITS
from training.errors import DatasetError
from training.evaluation.encoders import Embedder
from training.model.frontend import SAMPLE_RATE

BATCH = 32
DECODERS = 2

Load = Callable[[int], Float32[np.ndarray, " samples"]]


def embed_cached(
    embedder: Embedder, load: Load, n: int, data: str, cache: Path
) -> Float32[np.ndarray, "clips dim"]:
    """Embed clips, or read what an earlier call with the same encoder and data wrote.

    Args:
        embedder: With its statistics set.
        load: Gives the samples of a clip by its number.
        n: How many clips there are.
        data: Hash of everything that decides what ``load`` gives.
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
    """Decode a file to 16 kHz mono.

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
    """Cut a clip to a length from a start on, or follow it by zeros."""
    cut = clip[start : start + samples]
    return np.pad(cut, (0, samples - cut.size))


def hash_parts(parts: Sequence[object]) -> str:
    """Hash what decides a data set."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def hash_files(paths: Sequence[Path]) -> str:
    """Hash names, sizes and times of files, as a cheap identity of their content.

    Raises:
        DatasetError: A file is missing.
    """
    parts: list[object] = []
    for path in paths:
        if not path.is_file():
            raise DatasetError(f"{path} is named but not there")
        status = path.stat()
        parts.append((path.name, status.st_size, status.st_mtime_ns))
    return hash_parts(parts)


def _embed_all(
    embedder: Embedder, load: Load, n: int
) -> Iterator[Float32[np.ndarray, "clips dim"]]:
    """Embed in order, decoding the next batch while one is encoded."""
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
    """Write an array that appears under its name only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    rows, first = None, 0
    for batch in batches:
        if rows is None:
            rows = np.lib.format.open_memmap(partial, "w+", np.float32, (n, batch.shape[1]))
        rows[first : first + len(batch)] = batch
        first += len(batch)
    if rows is None:
        raise DatasetError("there is nothing to embed")
    rows.flush()
    partial.replace(path)
