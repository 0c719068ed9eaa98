from __future__ import annotations

import torch

from training.model.encoder import DIM
from training.pretraining.heads import PROJECTION, Head


def n_parameters(head: Head) -> int:
    return sum(p.numel() for p in head.parameters())


def test_projector_and_predictor_have_the_sizes_of_byol_a() -> None:
    assert n_parameters(Head(DIM)) == 13_644_032
    assert n_parameters(Head(PROJECTION)) == 2_109_696


def test_a_head_normalises_only_its_hidden_layer_over_the_batch(narrow: None) -> None:
    torch.manual_seed(0)
    head = Head(5).double()
    x = torch.randn(4, 5, dtype=torch.float64)
    p = head.state_dict()
    hidden = torch.stack([p["layers.0.weight"] @ row + p["layers.0.bias"] for row in x])
    mean = hidden.sum(dim=0) / 4
    variance = ((hidden - mean) ** 2).sum(dim=0) / 4
    hidden = ((hidden - mean) / (variance + 1e-5).sqrt()).clamp(min=0)
    expected = torch.stack([p["layers.3.weight"] @ row + p["layers.3.bias"] for row in hidden])
    torch.testing.assert_close(head(x), expected, rtol=1e-10, atol=1e-10)
