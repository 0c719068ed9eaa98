from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import synth
import torch
from torch import nn

from training.export.int8 import (
    ACTIVATION_LEVELS,
    WEIGHT_LEVELS,
    fold_batch_norm,
    measure_ranges,
    quantise_weights,
)
from training.model.model import EmbeddingModel

SOUNDS = [synth.chirp(100, 7000, 1.3), synth.noise(0, 1.0), synth.tone(440, 1.1), synth.silence()]


def tiny_model() -> EmbeddingModel:
    """An encoder whose BatchNorm has random parameters of both signs."""
    torch.manual_seed(0)
    model = EmbeddingModel().eval()
    model.mean.fill_(-9.0)
    model.std.fill_(4.0)
    for norm in (model.encoder.norm1, model.encoder.norm2):
        nn.init.uniform_(norm.weight, -1.0, 1.0)
        nn.init.uniform_(norm.running_mean, -0.5, 0.5)  # type: ignore[arg-type]  # a tensor
        nn.init.uniform_(norm.running_var, 0.5, 2.0)  # type: ignore[arg-type]  # a tensor
    return model


@pytest.fixture(scope="module")
def model() -> Iterator[EmbeddingModel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.model.encoder.HIDDEN", 64)
        yield tiny_model()


@pytest.fixture(scope="module")
def ranges(model: EmbeddingModel) -> dict[str, float]:
    return measure_ranges(model, SOUNDS)


def test_weights_are_rounded_to_whole_steps_of_each_output() -> None:
    weight = np.random.default_rng(0).standard_normal((5, 3, 3, 3)) * np.logspace(-3, 3, 5).reshape(
        -1, 1, 1, 1
    )
    steps, scale = quantise_weights(weight)
    assert steps.dtype == np.int8
    assert (np.abs(steps).reshape(5, -1).max(axis=1) == WEIGHT_LEVELS).all()
    deviation = np.abs(steps * scale.reshape(-1, 1, 1, 1) - weight)
    assert (deviation.reshape(5, -1).max(axis=1) <= 0.5001 * scale).all()


def test_an_output_without_weights_stays_zero() -> None:
    steps, scale = quantise_weights(np.zeros((2, 4)))
    assert not steps.any()
    assert (scale > 0).all()


def test_the_sum_of_two_products_fits_in_16_bits() -> None:
    assert np.iinfo(np.int16).max >= 2 * ACTIVATION_LEVELS * WEIGHT_LEVELS


def test_a_folded_batch_norm_gives_the_same_output(model: EmbeddingModel) -> None:
    encoder = model.encoder
    values = {f"encoder.{name}": value.numpy() for name, value in encoder.state_dict().items()}
    weight, bias = (torch.from_numpy(part) for part in fold_batch_norm(values, "conv2", "norm2"))
    x = torch.randn(1, 64, 7, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = encoder.norm2(encoder.conv2(x))
        found = nn.functional.conv2d(x, weight, bias, padding=1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_ranges_grow_with_the_clips(model: EmbeddingModel, ranges: dict[str, float]) -> None:
    fewer = measure_ranges(model, SOUNDS[:1])
    assert 0 < fewer["conv2"] <= ranges["conv2"]
    assert 0 < fewer["linear1"] <= ranges["linear1"]
    assert 0 < fewer["linear2"] <= ranges["linear2"]
