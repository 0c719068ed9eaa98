from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_scene

from training.errors import DatasetError
from training.scenes.draw import draw_pairs
from training.scenes.folder import EmbeddingFiles, write_pairs
from training.scenes.load import EventRow, load_scenes
from training.scenes.pair import Pair

FINGERPRINT = "ab" * 32
ROWS = [EventRow(path=f"e{i}.wav", label="dog", fold=5) for i in range(3)]


@pytest.fixture(scope="module")
def pairs(corpus: Path) -> list[Pair]:
    return draw_pairs(tiny_scene.pool(corpus), tiny_scene.plan(4))


@pytest.fixture
def folder(tmp_path: Path, pairs: list[Pair]) -> Path:
    """A finished set."""
    write_pairs(tmp_path, {}, pairs)
    files = EmbeddingFiles(tmp_path / FINGERPRINT[:16], ROWS, len(pairs), 2)
    files.add_events(np.full((3, 2), 5, np.float32))
    files.add_pairs(np.arange(16, dtype=np.float32).reshape(8, 2))
    files.save()
    return tmp_path


def set_progress(folder: Path, done: int) -> None:
    path = folder / FINGERPRINT[:16] / "state.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"done": done}))


def test_a_set_is_read_as_it_was_written(folder: Path, pairs: list[Pair]) -> None:
    found = load_scenes(folder, FINGERPRINT)
    assert found.pairs == pairs
    assert found.event_rows == ROWS
    assert found.query.tolist() == [[0, 1], [4, 5], [8, 9], [12, 13]]
    assert found.target.tolist() == [[2, 3], [6, 7], [10, 11], [14, 15]]
    assert found.events.shape == (3, 2)
    assert found.query.dtype == np.float16


def test_an_unfinished_set_is_refused(folder: Path) -> None:
    set_progress(folder, 3)
    with pytest.raises(DatasetError, match="unfinished: 3 of 4 pairs"):
        load_scenes(folder, FINGERPRINT)


def test_the_embeddings_of_another_encoder_are_not_read(folder: Path) -> None:
    with pytest.raises(DatasetError, match=f"no embeddings of the encoder {'cd' * 8}.*{'ab' * 8}"):
        load_scenes(folder, "cd" * 32)


def test_a_folder_that_is_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="it holds those of none"):
        load_scenes(tmp_path, FINGERPRINT)


def test_lines_that_are_no_pairs_are_refused(folder: Path, pairs: list[Pair]) -> None:
    broken = json.loads(pairs[0].to_json()) | {"changes": [{"kind": "vanish", "label": "dog"}]}
    (folder / "pairs.jsonl").write_text(json.dumps(broken) + "\n")
    with pytest.raises(DatasetError, match=r"pairs\.jsonl does not have the current format"):
        load_scenes(folder, FINGERPRINT)
    (folder / "pairs.jsonl").unlink()
    with pytest.raises(DatasetError, match=r"pairs\.jsonl cannot be read"):
        load_scenes(folder, FINGERPRINT)
