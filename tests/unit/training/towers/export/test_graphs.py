from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from service.inference.onnx_session import open_session
from training.towers.export.graphs import (
    TextModel,
    quantise_rows,
    store_weights,
    write_audio_graph,
    write_text_graph,
)
from training.towers.recipe import TextRecipe
from training.towers.run import LoadedTowers
from training.towers.text_encoder import TextEncoderNetwork
from training.towers.text_encoder_files import find_text_encoder

ROUNDING = 1e-5


@pytest.fixture(scope="module")
def model(text_folder: Path, loaded: LoadedTowers) -> TextModel:
    files = find_text_encoder(TextRecipe(folder=text_folder, weights_sha256=None))
    return TextModel(TextEncoderNetwork(files), loaded.networks.text).eval()


@pytest.fixture(scope="module")
def graph(model: TextModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "text.onnx"
    write_text_graph(model, path, 32)
    return path


def tokens(n: int, length: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mask = np.ones((n, length), np.int64)
    for row in range(1, n):
        mask[row, rng.integers(1, length + 1) :] = 0
    return rng.integers(4, 30, (n, length)), mask


def run(path: Path, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    session = open_session(path, device="cpu", threads=1)
    (vectors,) = session.run({"input_ids": ids, "attention_mask": mask}, ["vector"])
    return vectors


@pytest.mark.parametrize(("n", "length"), [(1, 1), (1, 32), (5, 9)])
def test_the_text_graph_agrees_with_torch(
    graph: Path, model: TextModel, n: int, length: int
) -> None:
    ids, mask = tokens(n, length)
    with torch.inference_mode():
        (expected,) = model(torch.from_numpy(ids), torch.from_numpy(mask))
    expected = expected.numpy()
    assert np.abs(run(graph, ids, mask) - expected).max() < ROUNDING * np.abs(expected).max()


def test_the_audio_graph_agrees_with_torch(loaded: LoadedTowers, tmp_path: Path) -> None:
    write_audio_graph(loaded.networks.audio, tmp_path / "audio.onnx")
    session = open_session(tmp_path / "audio.onnx", device="cpu", threads=1)
    assert session.inputs["embedding"][0] == "float32"
    for n in (1, 7):
        embeddings = np.random.default_rng(n).normal(1.0, 1.0, (n, 48)).astype(np.float32)
        (found,) = session.run({"embedding": embeddings}, ["vector"])
        with torch.inference_mode():
            expected = loaded.networks.audio(torch.from_numpy(embeddings)).numpy()
        assert np.abs(found - expected).max() < ROUNDING


@pytest.mark.parametrize(("precision", "cosine"), [("float16", 0.99999), ("int8", 0.999)])
def test_fewer_bits_take_less_space_and_change_little(
    graph: Path, tmp_path: Path, precision: str, cosine: float
) -> None:
    path = tmp_path / "small.onnx"
    store_weights(graph, path, precision)
    ids, mask = tokens(6, 20)
    found, expected = run(path, ids, mask), run(graph, ids, mask)
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    assert ((found * expected).sum(axis=1) / norms).min() > cosine
    assert not np.array_equal(found, expected)
    assert path.stat().st_size < 0.85 * graph.stat().st_size
    stored = {item.name: item for item in onnx.load(str(path)).graph.initializer}
    assert any(name.endswith(f".{precision}") for name in stored)


def test_int8_vectors_do_not_depend_on_the_batch(graph: Path, tmp_path: Path) -> None:
    store_weights(graph, tmp_path / "small.onnx", "int8")
    ids, mask = tokens(4, 12)
    together = run(tmp_path / "small.onnx", ids, mask)
    alone = run(tmp_path / "small.onnx", ids[:1], mask[:1])[0]
    assert np.abs(together[0] - alone).max() < ROUNDING * np.abs(alone).max()


def test_float32_is_copied(graph: Path, tmp_path: Path) -> None:
    store_weights(graph, tmp_path / "same.onnx", "float32")
    ids, mask = tokens(3, 8)
    assert np.array_equal(run(tmp_path / "same.onnx", ids, mask), run(graph, ids, mask))


def test_rounding_is_within_half_a_step_of_each_row() -> None:
    matrix = np.random.default_rng(0).normal(size=(6, 50)).astype(np.float32)
    matrix[1] *= 1000
    matrix[2] = 0
    levels, scale = quantise_rows(matrix)
    assert levels.dtype == np.int8
    assert np.abs(levels).max(axis=1).tolist() == [127, 127, 0, 127, 127, 127]
    assert (np.abs(levels * scale - matrix) <= 0.5001 * scale).all()
