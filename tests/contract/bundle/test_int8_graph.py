"""The int8 graph of a real export, compared with the same arithmetic in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import synth
import torch
from torch import nn

from service.inference.onnx_session import Session, open_session
from training.export.gate import BATCH_TOLERANCE
from training.export.int8 import (
    ACTIVATION_LEVELS,
    activation_scale,
    fold_batch_norm,
    measure_ranges,
    quantise_weights,
    write_int8,
)
from training.model.model import EmbeddingModel

HALF_WAY = 1e-3  # of a step: as near to the middle as float32 resolves
SOUNDS = [synth.chirp(100, 7000, 1.3), synth.noise(0, 1.0), synth.tone(440, 1.1), synth.silence()]


@pytest.fixture(scope="module")
def ranges(model: EmbeddingModel) -> dict[str, float]:
    return measure_ranges(model, SOUNDS)


@pytest.fixture(scope="module")
def path(
    exported: Bundle, ranges: dict[str, float], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("int8") / "int8.onnx"
    write_int8(exported.encoder_file, path, ranges)
    return path


@pytest.fixture(scope="module")
def session(path: Path) -> Session:
    return open_session(path, device="cpu", threads=1)


def embed(session: Session, clips: list[np.ndarray]) -> np.ndarray:
    lengths = np.array([clip.size for clip in clips])
    batch = np.full((len(clips), lengths.max()), np.nan, np.float32)
    for row, clip in zip(batch, clips, strict=True):
        row[: clip.size] = clip
    embeddings: np.ndarray = session.run({"waveform": batch, "lengths": lengths}, ["embedding"])[0]
    return embeddings


def naive(
    model: EmbeddingModel, ranges: dict[str, float], clip: np.ndarray, nudge: float = 0.0
) -> np.ndarray:
    """Compute in float64 the int8 arithmetic without saturation; inputs are shifted by a nudge."""

    def rounded(x: torch.Tensor, largest: float) -> torch.Tensor:
        step = float(activation_scale(largest))
        return (x / step + nudge).round().clamp(0, ACTIVATION_LEVELS) * step

    def weights(weight: torch.Tensor) -> torch.Tensor:
        steps, scale = quantise_weights(weight.numpy())
        shape = (-1, *[1] * (weight.ndim - 1))
        return torch.from_numpy(steps.astype(np.float64) * scale.astype(np.float64).reshape(shape))

    encoder = model.encoder
    values = {f"encoder.{name}": value.numpy() for name, value in encoder.state_dict().items()}
    weight, bias = (torch.from_numpy(part) for part in fold_batch_norm(values, "conv2", "norm2"))
    with torch.no_grad():
        x = model.log_mel(torch.from_numpy(clip)[None]).transpose(1, 2).unsqueeze(1)
        x = nn.functional.max_pool2d(encoder.norm1(encoder.conv1(x)), 2).relu().double()
        x = nn.functional.conv2d(
            rounded(x, ranges["conv2"]), weights(weight), bias.double(), padding=1
        )
        x = nn.functional.max_pool2d(rounded(x, ranges["linear1"]), 2)
        local = x.permute(0, 2, 3, 1).flatten(2)
        hidden = nn.functional.linear(
            local, weights(encoder.linear1.weight), encoder.linear1.bias.double()
        )
        output = nn.functional.linear(
            rounded(hidden, ranges["linear2"]),
            weights(encoder.linear2.weight),
            encoder.linear2.bias.double(),
        )
        frames = torch.cat([local, output.relu()], dim=2)
        embedding: np.ndarray = (frames.mean(dim=1) + frames.amax(dim=1))[0].numpy()
    return embedding


@pytest.mark.parametrize("sound", SOUNDS[:3], ids=["chirp", "noise", "tone"])
def test_the_graph_computes_int8_without_saturation(
    session: Session, model: EmbeddingModel, ranges: dict[str, float], sound: np.ndarray
) -> None:
    """A value half-way between two steps may round up or down; saturation would be far off."""
    found = embed(session, [sound])[0]
    expected = [naive(model, ranges, sound, nudge) for nudge in (-HALF_WAY, 0.0, HALF_WAY)]
    tolerance = 0.01 * expected[1].max()
    assert (found >= np.min(expected, axis=0) - tolerance).all()
    assert (found <= np.max(expected, axis=0) + tolerance).all()


def test_it_is_close_to_float32_but_not_the_same(session: Session, model: EmbeddingModel) -> None:
    found = embed(session, SOUNDS[:1])[0]
    with torch.no_grad():
        inputs = torch.from_numpy(SOUNDS[0])[None], torch.tensor([SOUNDS[0].size])
        expected = model(*inputs).embedding[0].numpy()
    deviation = np.abs(found - expected).max() / expected.max()
    assert 1e-5 < deviation < 0.05


def test_a_clip_does_not_depend_on_its_batch_nor_on_its_padding(session: Session) -> None:
    together = embed(session, SOUNDS)
    for clip, embedding in zip(SOUNDS, together, strict=True):
        alone = embed(session, [clip])[0]
        np.testing.assert_allclose(embedding, alone, rtol=0, atol=BATCH_TOLERANCE * alone.max())


def test_the_large_weights_are_stored_as_bytes_only(path: Path) -> None:
    kinds = {
        value.name: (value.data_type, tuple(value.dims))
        for value in onnx.load(str(path)).graph.initializer
    }
    for name in ("conv2_weight_steps", "linear1_weight_steps", "linear2_weight_steps"):
        assert kinds[name][0] == onnx.TensorProto.INT8
    assert "encoder.linear1.weight" not in kinds
    assert "encoder.norm2.weight" not in kinds
    # The first convolution is unchanged.
    assert kinds["encoder.conv1.weight"] == (onnx.TensorProto.FLOAT, (64, 1, 3, 3))
