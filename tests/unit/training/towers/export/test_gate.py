from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from training.errors import ExportParityError
from training.scenes.load import SceneSet
from training.towers.evaluation.projector import TowerProjector
from training.towers.export.gate import TextEncoderGate
from training.towers.run import LoadedTowers
from training.towers.text_cache import TextCache


@pytest.fixture(scope="module")
def gate(scenes: SceneSet, loaded: LoadedTowers, cache: TextCache) -> TextEncoderGate:
    return TextEncoderGate.of(scenes, loaded, cache)


@pytest.fixture(scope="module")
def projector(loaded: LoadedTowers, cache: TextCache) -> TowerProjector:
    return TowerProjector(loaded.networks, cache)


def test_the_torch_model_itself_passes(gate: TextEncoderGate, projector: TowerProjector) -> None:
    measured = gate.measure(projector.project_texts)
    assert measured["cosine"] == pytest.approx(1.0, abs=1e-6)
    assert measured["recall_loss"] == 0
    assert gate.passes(measured)
    assert gate.check_float32(projector.project_texts) < 1e-6


def test_an_inexact_text_encoder_does_not_pass(
    gate: TextEncoderGate, projector: TowerProjector
) -> None:
    def noisy(texts: Sequence[str]) -> np.ndarray:
        exact = projector.project_texts(texts)
        noise = np.random.default_rng(0).normal(size=exact.shape)
        return (exact + 0.3 * np.abs(exact).max() * noise).astype(np.float32)

    measured = gate.measure(noisy)
    assert measured["cosine"] < 0.999
    assert not gate.passes(measured)
    with pytest.raises(ExportParityError, match="the exported text encoder deviates"):
        gate.check_float32(noisy)


@pytest.mark.parametrize(
    ("cosine", "recall_loss", "expected"),
    [(0.9991, 0.0049, True), (0.9989, 0.0, False), (0.9999, 0.006, False)],
)
def test_the_gate_has_a_lowest_cosine_and_a_largest_loss_of_recall(
    gate: TextEncoderGate, cosine: float, recall_loss: float, expected: bool
) -> None:
    assert gate.passes({"cosine": cosine, "recall_loss": recall_loss}) is expected
