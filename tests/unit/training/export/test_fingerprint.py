from __future__ import annotations

import copy

import pytest
import torch

from training.export import fingerprint as module
from training.export.fingerprint import fingerprint
from training.model.model import EmbeddingModel

pytestmark = pytest.mark.usefixtures("narrow")


def model() -> EmbeddingModel:
    torch.manual_seed(0)
    return EmbeddingModel()


def test_equal_models_have_equal_fingerprints() -> None:
    ours = model()
    other = copy.deepcopy(ours).eval().requires_grad_(requires_grad=False)
    # Memory layout, mode and the step count of BatchNorm do not matter.
    other.to(memory_format=torch.channels_last)
    other.encoder.norm1.num_batches_tracked.fill_(7)  # type: ignore[union-attr]  # BatchNorm has it
    assert fingerprint(other) == fingerprint(ours)
    assert len(bytes.fromhex(fingerprint(ours))) == 32


@pytest.mark.parametrize(
    "name", ["encoder.conv1.weight", "encoder.norm2.running_var", "mean", "std"]
)
def test_any_value_that_embeddings_depend_on_changes_the_fingerprint(name: str) -> None:
    ours, other = model(), model()
    values = dict(other.named_parameters()) | dict(other.named_buffers())
    with torch.no_grad():
        values[name].view(-1)[0] += 1e-6
    assert fingerprint(other) != fingerprint(ours)


@pytest.mark.parametrize("part", ["windowed_fourier_kernel", "mel_filters"])
def test_another_front_end_changes_the_fingerprint(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, values = fingerprint(model()), getattr(module, part)()
    values.view(-1)[values.abs().argmax()] += 1e-6
    monkeypatch.setattr(module, part, lambda: values)
    assert fingerprint(model()) != before


def test_another_resampler_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(model())
    monkeypatch.setattr(module, "RESAMPLER_QUALITY", "VHQ")
    assert fingerprint(model()) != before
