"""Writing of the folder of a set of pairs, batch by batch, so that a stopped run can continue."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from service.concurrency.durable import atomic_write
from training.errors import DatasetError
from training.scenes.load import (
    EVENT_ROWS_FILE,
    EVENTS_FILE,
    PAIRS_FILE,
    QUERY_FILE,
    STATE_FILE,
    TARGET_FILE,
    EventRow,
)
from training.scenes.pair import Pair

ABOUT_FILE = "about.json"
# The only setting in which a set may differ: a larger one begins with the pairs of a smaller one.
N_PAIRS = "n_pairs"


@dataclass(slots=True)
class EmbeddingProgress:
    """Number of embedded events and pairs, and the time spent; the content of `state.json`.

    Attributes:
        events: Number of clean events embedded.
        done: Number of pairs embedded.
        rendering_s: Time of the threads that rendered pairs [s].
        encoding_s: Time of the encoder on pairs [s].
        elapsed_s: Time that passed while pairs were made [s], that of other encoders included.
    """

    events: int = 0
    done: int = 0
    rendering_s: float = 0.0
    encoding_s: float = 0.0
    elapsed_s: float = 0.0

    @property
    def cost(self) -> dict[str, float]:
        """Seconds per pair."""
        n_pairs = max(self.done, 1)
        return {
            "rendering": round(self.rendering_s / n_pairs, 4),
            "encoding": round(self.encoding_s / n_pairs, 4),
            "elapsed": round(self.elapsed_s / n_pairs, 4),
        }


def write_pairs(folder: Path, about: Mapping[str, object], pairs: Iterable[Pair]) -> None:
    """Write the pairs of a set, or check that the folder holds the same set or its beginning.

    Args:
        folder: The folder; made if it does not exist.
        about: All that the pairs depend on.
        pairs: The pairs.

    Raises:
        DatasetError: The folder holds another set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{pair.to_json()}\n" for pair in pairs).encode()
    path, about_path = folder / PAIRS_FILE, folder / ABOUT_FILE
    written = path.read_bytes() if path.is_file() else b""
    if written:
        found = json.loads(about_path.read_bytes())
        differing = {name: found.get(name) for name in about if found.get(name) != about[name]}
        if not lines.startswith(written) or differing.keys() - {N_PAIRS}:
            reason = f"made with {_json(differing)}" if differing else "made by another version"
            raise DatasetError(f"{folder} holds another set of pairs, {reason}; choose another one")
        if written == lines:
            return
        about = found | about
    _write(about_path, _indented(about))
    _write(path, lines)


def add_to_about(folder: Path, **entries: object) -> None:
    """Add entries to `about.json`; mappings are merged."""
    path = folder / ABOUT_FILE
    about: dict[str, Any] = json.loads(path.read_bytes())
    for name, value in entries.items():
        about[name] = about.get(name, {}) | value if isinstance(value, dict) else value
    _write(path, _indented(about))


class EmbeddingFiles:
    """The memory-mapped embeddings of one encoder, and a record of how many are written.

    Attributes:
        progress: What has been written.
    """

    def __init__(self, folder: Path, events: Iterable[EventRow], n_pairs: int, dim: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._progress_path = folder / STATE_FILE
        begun = self._progress_path.is_file()
        self.progress = EmbeddingProgress(
            **(json.loads(self._progress_path.read_bytes()) if begun else {})
        )
        rows = [_json(asdict(event)) for event in events]
        if not begun:
            _write(folder / EVENT_ROWS_FILE, "".join(f"{row}\n" for row in rows).encode())
        self._events = _open_array(folder / EVENTS_FILE, (len(rows), dim), begun=begun)
        self._query = _open_array(folder / QUERY_FILE, (n_pairs, dim), begun=begun)
        self._target = _open_array(folder / TARGET_FILE, (n_pairs, dim), begun=begun)
        self.save()

    def add_events(self, embeddings: Float32[np.ndarray, "events dim"]) -> None:
        """Write the embeddings of the next clean events."""
        first = self.progress.events
        self._events[first : first + len(embeddings)] = embeddings
        self.progress.events += len(embeddings)

    def add_pairs(self, embeddings: Float32[np.ndarray, "clips dim"]) -> None:
        """Write the embeddings of the next pairs: query, target, query, target and so on."""
        first, n_pairs = self.progress.done, len(embeddings) // 2
        self._query[first : first + n_pairs] = embeddings[0::2]
        self._target[first : first + n_pairs] = embeddings[1::2]
        self.progress.done += n_pairs

    def save(self) -> None:
        """Write the embeddings to the disk, and after them the record of how many there are."""
        for embeddings in (self._events, self._query, self._target):
            embeddings.flush()
        _write(self._progress_path, _indented(asdict(self.progress)))


def _open_array(
    path: Path, shape: tuple[int, int], *, begun: bool
) -> np.memmap[Any, np.dtype[Any]]:
    """Open an array of embeddings; create it, or extend it, where needed."""
    if not begun:
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    found = np.lib.format.open_memmap(path, mode="r+")
    if found.shape[0] < shape[0] and found.shape[1] == shape[1]:
        added = np.zeros((shape[0] - found.shape[0], shape[1]), np.float16)
        with atomic_write(path) as file:
            np.lib.format.write_array(file, np.concatenate([found, added]))
        return np.lib.format.open_memmap(path, mode="r+")
    if found.shape != shape:
        raise DatasetError(f"{path} is {found.shape}, this set needs {shape}")
    return found


def _json(content: object) -> str:
    return json.dumps(content, separators=(",", ":"))


def _indented(content: object) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as file:
        file.write(content)
