from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny_scene

from training.errors import DatasetError
from training.scenes.draw import draw_pairs
from training.scenes.folder import EmbeddingFiles, EmbeddingProgress, add_to_about, write_pairs
from training.scenes.load import EventRow
from training.scenes.pair import Pair

ROWS = [EventRow(path=f"e{i}.wav", label="dog", fold=5) for i in range(3)]
DIM = 4


@pytest.fixture(scope="module")
def pairs(corpus: Path) -> Sequence[Pair]:
    return draw_pairs(tiny_scene.pool(corpus), tiny_scene.plan(5))


def files(folder: Path) -> EmbeddingFiles:
    return EmbeddingFiles(folder, ROWS, 5, DIM)


def embeddings(n: int, *, first: float = 0.0) -> np.ndarray:
    return np.arange(first, first + n * DIM, dtype=np.float32).reshape(n, DIM)


def test_writing_the_same_set_again_changes_nothing(tmp_path: Path, pairs: Sequence[Pair]) -> None:
    about = {"scene": "rain", "seed": 0}
    write_pairs(tmp_path / "set", about, pairs)
    add_to_about(tmp_path / "set", commit="abc")
    before = {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()}
    write_pairs(tmp_path / "set", about, pairs)
    assert {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()} == before
    assert set(before) == {"about.json", "pairs.jsonl"}
    lines = before["pairs.jsonl"].splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(5))


def test_another_set_is_refused_and_described(tmp_path: Path, pairs: Sequence[Pair]) -> None:
    write_pairs(tmp_path, {"scene": "rain", "seed": 0}, pairs)
    with pytest.raises(DatasetError, match=r'another set of pairs, made with \{"seed":0\}'):
        write_pairs(tmp_path, {"scene": "rain", "seed": 1}, pairs)
    with pytest.raises(DatasetError, match="made by another version"):
        write_pairs(tmp_path, {"scene": "rain", "seed": 0}, pairs[:4])


def test_a_set_may_become_a_larger_one_that_begins_with_it(
    tmp_path: Path, pairs: Sequence[Pair]
) -> None:
    write_pairs(tmp_path / "grown", {"seed": 0, "n_pairs": 3}, pairs[:3])
    add_to_about(tmp_path / "grown", commit="a")
    for folder in ("grown", "whole"):
        write_pairs(tmp_path / folder, {"seed": 0, "n_pairs": 5}, pairs)
    grown, whole = (tmp_path / folder / "pairs.jsonl" for folder in ("grown", "whole"))
    assert grown.read_bytes() == whole.read_bytes()
    about = json.loads((tmp_path / "grown" / "about.json").read_bytes())
    assert about == {"seed": 0, "n_pairs": 5, "commit": "a"}
    with pytest.raises(DatasetError, match="another set"):
        write_pairs(tmp_path / "grown", {"seed": 0, "n_pairs": 3}, pairs[:3])


def test_entries_are_added_and_mappings_are_merged(tmp_path: Path, pairs: Sequence[Pair]) -> None:
    write_pairs(tmp_path, {"scene": "rain"}, pairs)
    add_to_about(tmp_path, commit="a", cost={"x": 1})
    add_to_about(tmp_path, commit="b", cost={"y": 2})
    about = json.loads((tmp_path / "about.json").read_bytes())
    assert about == {"scene": "rain", "commit": "b", "cost": {"x": 1, "y": 2}}


def test_embeddings_are_written_in_order_in_half_precision(tmp_path: Path) -> None:
    written = files(tmp_path)
    written.add_events(embeddings(2))
    written.add_events(embeddings(1, first=8))
    written.add_pairs(embeddings(4))
    written.add_pairs(embeddings(6, first=16))
    written.save()
    events, query, target = (
        np.load(tmp_path / f"{name}.npy") for name in ("events", "query", "target")
    )
    assert events.dtype == query.dtype == target.dtype == np.float16
    assert np.array_equal(events, embeddings(3))
    assert np.array_equal(query, embeddings(10)[0::2])
    assert np.array_equal(target, embeddings(10)[1::2])
    rows = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(rows[2]) == {"path": "e2.wav", "label": "dog", "fold": 5}


def test_files_of_another_size_are_refused(tmp_path: Path) -> None:
    files(tmp_path)
    with pytest.raises(DatasetError, match=r"events.npy is \(3, 4\), this set needs \(3, 8\)"):
        EmbeddingFiles(tmp_path, ROWS, 5, 8)


def test_costs_are_per_pair() -> None:
    progress = EmbeddingProgress(done=4, rendering_s=2.0, encoding_s=8.0, elapsed_s=9.0)
    assert progress.cost == {"rendering": 0.5, "encoding": 2.0, "elapsed": 2.25}
    assert EmbeddingProgress().cost == {"rendering": 0.0, "encoding": 0.0, "elapsed": 0.0}
