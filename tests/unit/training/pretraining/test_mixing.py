from __future__ import annotations

import math

import pytest
import tiny_run
import torch

from training.pretraining.mixing import draw_gamma, mix_with_shifted, shift


def test_the_shift_gives_each_sample_the_next_one_and_the_last_the_first() -> None:
    assert shift(torch.tensor([10.0, 20.0, 30.0])).tolist() == [20.0, 30.0, 10.0]


def test_a_batch_shifted_all_the_way_round_is_itself() -> None:
    log_mel = tiny_run.log_mels(5)
    shifted = log_mel
    for _ in range(5):
        shifted = shift(shifted)
    assert torch.equal(shifted, log_mel)
    assert torch.equal(shift(log_mel).roll(1, dims=0), log_mel)


def test_the_mixture_is_equation_2() -> None:
    view, gamma = tiny_run.log_mels(3, frames=5), torch.tensor([0.4, 0.5, 0.6])
    found = mix_with_shifted(view, gamma)
    for n in range(3):
        rate, other = float(gamma[n]), view[(n + 1) % 3]
        for mel in range(64):
            for frame in range(5):
                power = rate * math.exp(float(other[mel, frame]))
                power += (1 - rate) * math.exp(float(view[n, mel, frame]))
                assert float(found[n, mel, frame]) == pytest.approx(math.log(power), abs=1e-5)


def test_nothing_overflows() -> None:
    """The louder of two sounds stays, less its rate."""
    view = torch.tensor([80.0, -80.0, 80.0, 1000.0])[:, None, None].expand(-1, 2, 2)
    mixture = mix_with_shifted(view, torch.full((4,), 0.5))
    half = math.log(0.5)
    expected = [80 + half, 80 + half, 1000 + half, 1000 + half]
    assert mixture[:, 0, 0].tolist() == pytest.approx(expected)


def test_a_rate_of_almost_nothing_gives_the_view_itself() -> None:
    view = tiny_run.log_mels(3)
    torch.testing.assert_close(mix_with_shifted(view, torch.full((3,), 1e-12)), view)


def test_a_rate_of_almost_one_gives_the_next_view() -> None:
    view = tiny_run.log_mels(3).double()
    gamma = torch.full((3,), 1 - 1e-12, dtype=torch.float64)
    torch.testing.assert_close(mix_with_shifted(view, gamma), shift(view))


def test_with_the_spread_of_the_views_power_itself_is_mixed() -> None:
    """The mean of the normalisation cancels, its deviation does not."""
    mean, spread = -7.0, 3.5
    log_mel = mean + spread * tiny_run.log_mels(4).double()
    gamma = torch.tensor([0.4, 0.45, 0.5, 0.6]).double()
    mixture = mix_with_shifted((log_mel - mean) / spread, gamma, spread=spread)
    rate = gamma[:, None, None]
    power = rate * shift(log_mel).exp() + (1 - rate) * log_mel.exp()
    torch.testing.assert_close(mean + spread * mixture, power.log())


@pytest.mark.parametrize("spread", [1.0, 3.5])
def test_an_encoder_linear_in_power_leaves_the_sound_that_remains(spread: float) -> None:
    """``y_w - gamma s(y)`` is ``(1 - gamma) y``: the right sound leaves, at the right rate."""
    view = tiny_run.log_mels(4).double()
    gamma = torch.tensor([0.4, 0.45, 0.55, 0.6]).double()
    matrix = torch.randn(64 * 96, 10, generator=torch.Generator().manual_seed(7)).double()

    def encode(view: torch.Tensor) -> torch.Tensor:
        return (spread * view).exp().flatten(1) @ matrix

    mixture = mix_with_shifted(view, gamma, spread=spread)
    remainder = encode(mixture) - gamma[:, None] * shift(encode(view))
    torch.testing.assert_close(remainder, (1 - gamma[:, None]) * encode(view))


def test_there_is_a_rate_for_each_sample_uniform_between_the_bounds() -> None:
    gamma = draw_gamma(torch.zeros(20_000, 1), (0.4, 0.6), torch.Generator().manual_seed(0))
    assert gamma.shape == (20_000,)
    assert 0.4 <= float(gamma.min()) < 0.401
    assert 0.599 < float(gamma.max()) <= 0.6
    # Five standard deviations of the mean.
    assert float(gamma.double().mean()) == pytest.approx(0.5, abs=0.0021)
