from __future__ import annotations

import math

import tiny_run
import torch
from torch import Tensor

from training.pretraining.augment import (
    MixupBank,
    augment,
    mixup,
    normalise_jointly,
    random_linear_fader,
)
from training.recipe import ViewsRecipe

ONLY_MIXUP = ViewsRecipe(crop_scale=(1.0, 1.0), canvas_scale=1.0, fader_gain=0.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def constant(*values: float) -> Tensor:
    """Make tiny log-mels of one value each."""
    return torch.tensor(values, dtype=torch.float32)[:, None, None].expand(-1, 2, 3)


def contents(bank: MixupBank) -> list[float]:
    n = min(int(bank.pushed), len(bank.inputs))
    return sorted(bank.inputs[:n, 0, 0].tolist())


def test_the_bank_replaces_the_oldest_inputs() -> None:
    bank = MixupBank(4, 2, 3)
    bank.push(constant(1, 2, 3))
    assert contents(bank) == [1, 2, 3]
    bank.push(constant(4, 5, 6))
    assert contents(bank) == [3, 4, 5, 6]
    bank.push(constant(*range(10, 21)))
    assert contents(bank) == [17, 18, 19, 20]
    bank.push(constant(30))
    assert contents(bank) == [18, 19, 20, 30]


def test_the_bank_draws_every_input_in_it_and_nothing_else() -> None:
    bank = MixupBank(5, 2, 3)
    bank.push(constant(1, 2, 3))
    drawn = bank.draw(200, generator())
    assert drawn is not None
    assert set(drawn[:, 0, 0].tolist()) == {1.0, 2.0, 3.0}


def test_an_empty_bank_gives_the_input_itself() -> None:
    bank, log_mel = MixupBank(4, 64, 96), tiny_run.log_mels(2)
    assert bank.draw(2, generator()) is None
    assert torch.equal(augment(log_mel, bank, ONLY_MIXUP, generator()), log_mel)
    assert int(bank.pushed) == 2


def test_backgrounds_are_drawn_before_the_batch_is_pushed() -> None:
    bank, background, log_mel = MixupBank(1, 64, 96), tiny_run.log_mels(1), tiny_run.log_mels(1, 1)
    bank.push(background)
    view = augment(log_mel, bank, ONLY_MIXUP, generator())
    assert not torch.allclose(view, log_mel)
    assert torch.equal(bank.inputs, log_mel)


def test_the_bank_stores_inputs_before_mixing() -> None:
    bank, log_mel = MixupBank(8, 64, 96), tiny_run.log_mels(2)
    for seed in range(2):
        augment(log_mel, bank, ViewsRecipe(), generator(seed))
    assert torch.equal(bank.inputs[:4], torch.cat([log_mel, log_mel]))


def test_mixup_adds_the_exponentials_with_at_most_a_fifth_of_background() -> None:
    n = 500
    log_mel, background = tiny_run.log_mels(n, 1), tiny_run.log_mels(n, 2)
    mixed = mixup(log_mel, background, 0.2, generator()).double()
    shares = []
    for x, z, out in zip(log_mel.double(), background.double(), mixed, strict=True):
        own, other = math.exp(float(x[0, 0])), math.exp(float(z[0, 0]))
        share = (math.exp(float(out[0, 0])) - own) / (other - own)
        expected = ((1 - share) * x.exp() + share * z.exp() + 1.19e-7).log()
        # The share is computed from float32 values; it is inexact if the two are nearly equal.
        if abs(other - own) > 0.1:
            assert (out - expected).abs().max() < 1e-3
            shares.append(share)
    assert min(shares) > -1e-4
    assert max(shares) < 0.2 + 1e-4
    assert min(shares) < 0.01
    assert max(shares) > 0.19


def test_the_fader_adds_a_straight_line_equal_for_all_mels_and_within_the_gain() -> None:
    log_mel = tiny_run.log_mels(300)
    lines = random_linear_fader(log_mel, 0.7, generator()) - log_mel
    assert (lines - lines[:, :1]).abs().max() < 1e-5
    assert lines.diff(n=2, dim=2).abs().max() < 1e-5
    ends = lines[:, 0, [0, -1]]
    assert ends.abs().max() <= 0.7 + 1e-5
    for end in ends.T:
        assert end.min() < -0.65
        assert end.max() > 0.65
    assert torch.corrcoef(ends.T)[0, 1].abs() < 0.2


def test_views_without_any_variation_become_zero() -> None:
    normalised, _ = normalise_jointly(torch.full((2, 64, 96), -15.0))
    assert torch.equal(normalised, torch.zeros(2, 64, 96))
