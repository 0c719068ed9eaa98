"""Reading of a set of pairs with the embeddings that one encoder computed of its clips."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float16
from pydantic import TypeAdapter, ValidationError

from training.errors import DatasetError
from training.scenes.pair import Pair

PAIRS_FILE = "pairs.jsonl"
QUERY_FILE = "query.npy"
TARGET_FILE = "target.npy"
EVENTS_FILE = "events.npy"
EVENT_ROWS_FILE = "events.jsonl"
STATE_FILE = "state.json"

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """The clean event of one row of embeddings.

    Attributes:
        path: Its file, as the manifest names it.
        label: Its class.
        fold: Its fold in the manifest; 0 where there is none.
    """

    path: str
    label: str
    fold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSet:
    """Pairs and the raw embeddings of their clips.

    Attributes:
        pairs: The pairs.
        query: Embeddings of the queries, float16 [pairs dim].
        target: Embeddings of the targets, float16 [pairs dim].
        events: Embeddings of the clean events of this side, float16 [events dim].
        event_rows: The event of each row of `events`.
    """

    pairs: list[Pair]
    query: Float16[np.ndarray, "pairs dim"]
    target: Float16[np.ndarray, "pairs dim"]
    events: Float16[np.ndarray, "events dim"]
    event_rows: list[EventRow]


def load_scenes(folder: Path, fingerprint: str) -> SceneSet:
    """Read a set; the embeddings are memory-mapped.

    Args:
        folder: Folder that `minuend-train data scenes` wrote.
        fingerprint: Fingerprint of the encoder.

    Raises:
        DatasetError: The set is missing or unfinished, or was not embedded by this encoder.
    """
    embedded = folder / fingerprint[:16]
    if not embedded.is_dir():
        others = sorted(path.parent.name for path in folder.glob(f"*/{STATE_FILE}"))
        raise DatasetError(
            f"{folder} holds no embeddings of the encoder {fingerprint[:16]}; "
            f"it holds those of {', '.join(others) or 'none'}"
        )
    pairs = _read_lines(folder / PAIRS_FILE, TypeAdapter(Pair))
    n_embedded = json.loads((embedded / STATE_FILE).read_bytes())["done"]
    if n_embedded < len(pairs):
        raise DatasetError(
            f"{embedded} is unfinished: {n_embedded} of {len(pairs)} pairs; "
            "run the command that made it again to continue"
        )
    return SceneSet(
        pairs=pairs[:n_embedded],
        query=np.load(embedded / QUERY_FILE, mmap_mode="r")[:n_embedded],
        target=np.load(embedded / TARGET_FILE, mmap_mode="r")[:n_embedded],
        events=np.load(embedded / EVENTS_FILE, mmap_mode="r"),
        event_rows=_read_lines(embedded / EVENT_ROWS_FILE, TypeAdapter(EventRow)),
    )


def _read_lines(path: Path, adapter: TypeAdapter[Row]) -> list[Row]:
    try:
        return [adapter.validate_json(line) for line in path.read_bytes().splitlines()]
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise DatasetError(f"{path} does not have the current format: {error}") from error
