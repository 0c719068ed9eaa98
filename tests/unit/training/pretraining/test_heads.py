from __future__ import annotations

from training.model.encoder import DIM
from training.pretraining.heads import PROJECTION, Head


def n_parameters(head: Head) -> int:
    return sum(p.numel() for p in head.parameters())


def test_projector_and_predictor_have_the_sizes_of_byol_a() -> None:
    assert n_parameters(Head(DIM)) == 13_644_032
    assert n_parameters(Head(PROJECTION)) == 2_109_696
