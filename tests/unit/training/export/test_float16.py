from __future__ import annotations

import pytest
import torch

from training.export.float16 import half_precision
from training.model.model import EmbeddingModel

pytestmark = pytest.mark.usefixtures("narrow")


def test_the_layers_are_halved_and_all_else_stays_float32() -> None:
    torch.manual_seed(0)
    model = EmbeddingModel().eval()
    model.mean.fill_(-9.0)
    halved = half_precision(model)
    assert {value.dtype for value in halved.encoder.parameters()} == {torch.float16}
    assert halved.frontend.window.dtype == halved.mean.dtype == torch.float32
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert dict(halved.named_parameters()).keys() == dict(model.named_parameters()).keys()


def test_it_gives_nearly_the_same_in_float32() -> None:
    torch.manual_seed(0)
    model = EmbeddingModel().eval()
    model.mean.fill_(-9.0)
    model.std.fill_(4.0)
    waveform = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(1))
    waveform[1, 9_000:] = torch.nan
    lengths = torch.tensor([16_000, 9_000])
    with torch.no_grad():
        expected, found = model(waveform, lengths), half_precision(model)(waveform, lengths)
    for one, other in zip(expected, found, strict=True):
        assert other.dtype == torch.float32
        assert (other - one).abs().max() <= 0.01 * one.abs().max()
        assert not torch.equal(other, one)
