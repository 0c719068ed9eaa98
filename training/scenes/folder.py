"""The folder of a set of pairs: written once, filled batch by batch, and never half believed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

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
# The one thing a set may be another of: a larger one begins with the pairs of a smaller one.
N_PAIRS = "n_pairs"


@dataclass(slots=True)
class State:
    """How far the embedding has come, and what it has cost.

    Attributes:
        events: Clean events embedded.
        done: Pairs embedded.
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
    """Begin a set, or make sure that the folder is of the same one, which may have been smaller.

    Args:
        folder: The folder; made if it is not there.
        about: What the pairs are a function of.
        pairs: The pairs.

    Raises:
        DatasetError: The folder holds another set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{_json(asdict(pair))}\n" for pair in pairs).encode()
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
    _replace(about_path, _pretty(about))
    _replace(path, lines)


def add_to_about(folder: Path, **found: object) -> None:
    """Add to what `about.json` says; mappings are merged."""
    path = folder / ABOUT_FILE
    about: dict[str, Any] = json.loads(path.read_bytes())
    for name, value in found.items():
        about[name] = about.get(name, {}) | value if isinstance(value, dict) else value
    _replace(path, _pretty(about))


class EmbeddingFiles:
    """The embeddings of one encoder, memory-mapped, with a note of how far they go.

    Attributes:
        state: What has been written.
    """

    def __init__(self, folder: Path, events: Iterable[EventRow], n_pairs: int, dim: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._state_path = folder / STATE_FILE
        begun = self._state_path.is_file()
        self.state = State(**json.loads(self._state_path.read_bytes())) if begun else State()
        rows = [_json(asdict(event)) for event in events]
        if not begun:
            _replace(folder / EVENT_ROWS_FILE, "".join(f"{row}\n" for row in rows).encode())
        self._events = _map(folder / EVENTS_FILE, (len(rows), dim), begun=begun)
        self._query = _map(folder / QUERY_FILE, (n_pairs, dim), begun=begun)
        self._target = _map(folder / TARGET_FILE, (n_pairs, dim), begun=begun)
        self.save()

    def add_events(self, embeddings: Float32[np.ndarray, "events dim"]) -> None:
        """Write the next clean events."""
        done = self.state.events
        self._events[done : done + len(embeddings)] = embeddings
        self.state.events += len(embeddings)

    def add_pairs(self, embeddings: Float32[np.ndarray, "clips dim"]) -> None:
        """Write the next pairs: query, target, query, target and so on."""
        done, n_pairs = self.state.done, len(embeddings) // 2
        self._query[done : done + n_pairs] = embeddings[0::2]
        self._target[done : done + n_pairs] = embeddings[1::2]
        self.state.done += n_pairs

    def save(self) -> None:
        """Bring what has been written to the disk, and then the note that it was."""
        for embeddings in (self._events, self._query, self._target):
            embeddings.flush()
        _replace(self._state_path, _pretty(asdict(self.state)))


def _map(path: Path, shape: tuple[int, int], *, begun: bool) -> np.memmap[Any, np.dtype[Any]]:
    """Open an array of embeddings, make it, or make it longer."""
    if not begun:
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    found = np.lib.format.open_memmap(path, mode="r+")
    if found.shape[0] < shape[0] and found.shape[1] == shape[1]:
        longer = path.with_suffix(".tmp")
        grown = np.lib.format.open_memmap(longer, mode="w+", dtype=np.float16, shape=shape)
        grown[: len(found)] = found
        grown.flush()
        longer.replace(path)
        return grown
    if found.shape != shape:
        raise DatasetError(f"{path} is {found.shape}, this set needs {shape}")
    return found


def _json(content: object) -> str:
    return json.dumps(content, separators=(",", ":"))


def _pretty(content: object) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
