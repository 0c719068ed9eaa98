from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from training.errors import ExportParityError
from training.scenes.load import SceneSet
from training.towers.export.gate import Gate
from training.towers.run import LoadedTowers
from training.towers.text_cache import TextCache
from training.towers.vectors import TowerVectors


@pytest.fixture(scope="module")
def gate(scenes: SceneSet, loaded: LoadedTowers, cache: TextCache) -> Gate:
    return Gate.of(scenes, loaded, cache)


@pytest.fixture(scope="module")
def vectors(loaded: LoadedTowers, cache: TextCache) -> TowerVectors:
    return TowerVectors(loaded.towers, cache)


def test_the_torch_model_itself_passes(gate: Gate, vectors: TowerVectors) -> None:
    measured = gate.measure(vectors.text)
    assert measured["cosine"] == pytest.approx(1.0, abs=1e-6)
    assert measured["recall_loss"] == 0
    assert gate.passes(measured)
    assert gate.check_text(vectors.text) < 1e-6


def test_a_text_encoder_that_is_off_does_not_pass(gate: Gate, vectors: TowerVectors) -> None:
    def noisy(texts: Sequence[str]) -> np.ndarray:
        exact = vectors.text(texts)
        draw = np.random.default_rng(0).normal(size=exact.shape)
        return (exact + 0.3 * np.abs(exact).max() * draw).astype(np.float32)

    measured = gate.measure(noisy)
    assert measured["cosine"] < 0.999
    assert not gate.passes(measured)
    with pytest.raises(ExportParityError, match="the exported text encoder deviates"):
        gate.check_text(noisy)


@pytest.mark.parametrize(
    ("cosine", "recall_loss", "expected"),
    [(0.9991, 0.0049, True), (0.9989, 0.0, False), (0.9999, 0.006, False)],
)
def test_the_bar_is_that_of_the_design(
    gate: Gate, cosine: float, recall_loss: float, expected: bool
) -> None:
    assert gate.passes({"cosine": cosine, "recall_loss": recall_loss}) is expected
