from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest
import torch

from service.bundle.files import Bundle
from service.inference.towers import AudioTower
from training.errors import ExportParityError
from training.scenes.load import SceneSet
from training.towers.difference_network import DifferenceNetwork
from training.towers.evaluation.projector import TowerProjector
from training.towers.export.gate import TextEncoderGate, check_difference
from training.towers.networks import DifferenceModel
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


def test_a_difference_that_deviates_is_refused(
    loaded: LoadedTowers, bundle: Bundle, scenes: SceneSet
) -> None:
    networks = copy.deepcopy(loaded.networks)
    networks.difference = DifferenceNetwork(networks.audio.entry.in_features, 8, 0.0).eval()
    model = DifferenceModel(networks, torch.from_numpy(bundle.mean), 0.5).eval()
    mixtures, references = (x[:6].astype(np.float32) for x in (scenes.target, scenes.query))

    class Served:
        """The audio tower of a bundle, in torch, with values that are off."""

        def __init__(self, off: float) -> None:
            self.off = off

        def difference(
            self, mixture: np.ndarray, reference: np.ndarray, weight: float
        ) -> np.ndarray:
            inputs = torch.from_numpy(np.stack([mixture, reference]))
            with torch.inference_mode():
                exact = model(inputs[:1], inputs[1:], torch.full((1, 1), weight))
            return exact.numpy()[0] * np.float32(1 + self.off)

    exact, wrong = (cast(AudioTower, Served(off)) for off in (0.0, 0.01))
    assert check_difference(model, exact, mixtures, references) < 1e-5
    with pytest.raises(ExportParityError, match="the exported difference deviates"):
        check_difference(model, wrong, mixtures, references)
