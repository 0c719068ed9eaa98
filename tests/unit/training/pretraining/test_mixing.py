from __future__ import annotations

import math

import pytest
import tiny_run
import torch
from torch import Tensor

from training.model.frontend import LogMel
from training.pretraining.mixing import (
    draw_rates,
    draw_uniform,
    gamma_of_snr,
    log_power,
    log_power_of_waveform,
    mix_waveforms,
    mix_with_shifted,
    shift,
)
from training.recipe import LossRecipe


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# Equation 2: the mixture


def test_the_mixture_is_equation_2() -> None:
    view, gamma = tiny_run.log_mels(3, frames=5), torch.tensor([0.4, 0.5, 0.6])
    found = mix_with_shifted(view, gamma)
    for n in range(3):
        rate, following = float(gamma[n]), view[(n + 1) % 3]
        for mel in range(64):
            for frame in range(5):
                power = rate * math.exp(float(following[mel, frame]))
                power += (1 - rate) * math.exp(float(view[n, mel, frame]))
                assert float(found[n, mel, frame]) == pytest.approx(math.log(power), abs=1e-5)


def test_the_mixture_does_not_overflow() -> None:
    """The result is the louder of two sounds, less its rate."""
    view = torch.tensor([80.0, -80.0, 80.0, 1000.0])[:, None, None].expand(-1, 2, 2)
    mixture = mix_with_shifted(view, torch.full((4,), 0.5))
    half = math.log(0.5)
    expected = [80 + half, 80 + half, 1000 + half, 1000 + half]
    assert mixture[:, 0, 0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("nats_per_unit", [1.0, 3.5])
def test_an_encoder_linear_in_power_leaves_the_remaining_sound(nats_per_unit: float) -> None:
    """``y_w - gamma s(y)`` is ``(1 - gamma) y``: the right sound is removed, at the right rate."""
    view = tiny_run.log_mels(4).double()
    gamma = torch.tensor([0.4, 0.45, 0.55, 0.6]).double()
    matrix = torch.randn(64 * 96, 10, generator=torch.Generator().manual_seed(7)).double()

    def encode(view: torch.Tensor) -> torch.Tensor:
        return (nats_per_unit * view).exp().flatten(1) @ matrix

    mixture = mix_with_shifted(view, gamma, nats_per_unit)
    remainder = encode(mixture) - gamma[:, None] * shift(encode(view))
    torch.testing.assert_close(remainder, (1 - gamma[:, None]) * encode(view))


def test_rates_are_uniform_between_the_bounds_one_for_each_sample() -> None:
    gamma = draw_uniform(torch.zeros(20_000, 1), (0.4, 0.6), generator())
    assert gamma.shape == (20_000,)
    assert 0.4 <= float(gamma.min()) < 0.401
    assert 0.599 < float(gamma.max()) <= 0.6
    # Five standard deviations of the mean.
    assert float(gamma.double().mean()) == pytest.approx(0.5, abs=0.0021)


def test_another_sound_can_be_mixed_in() -> None:
    view, other = tiny_run.log_mels(3), tiny_run.log_mels(3, 1)
    gamma = torch.tensor([0.4, 0.5, 0.6])
    found = mix_with_shifted(view, gamma, 2.0, other)
    for n, rate in enumerate(gamma.tolist()):
        power = rate * (2 * other[(n + 1) % 3]).exp() + (1 - rate) * (2 * view[n]).exp()
        torch.testing.assert_close(found[n], power.log() / 2)


# The rate of a level ratio


def test_the_rate_gives_both_parts_of_equation_2_their_level_ratio() -> None:
    """Naive, in float64: the powers are summed over all values of the mixed parts."""
    view = 2 * tiny_run.log_mels(4).double() + torch.tensor([0.0, -3, 5, 1])[:, None, None]
    wanted = [-10.0, 0.0, 3.0, 10.0]
    powers = log_power(view)
    gamma = gamma_of_snr(powers, shift(powers), torch.tensor(wanted))
    for n, snr_db in enumerate(wanted):
        own = added = 0.0
        for mel in range(64):
            for frame in range(96):
                own += (1 - float(gamma[n])) * math.exp(float(view[n, mel, frame]))
                added += float(gamma[n]) * math.exp(float(view[(n + 1) % 4, mel, frame]))
        assert 10 * math.log10(own / added) == pytest.approx(snr_db, abs=1e-6)


def test_equal_powers_are_mixed_alike_at_0_db() -> None:
    same = torch.full((2,), -7.3).double()
    assert gamma_of_snr(same, same, torch.zeros(2)).tolist() == pytest.approx([0.5, 0.5])


def test_a_rate_stays_between_0_and_1_for_silence_and_for_any_levels() -> None:
    silence = log_power_of_waveform(torch.zeros(1, 100))
    loud = log_power_of_waveform(torch.ones(1, 100))
    for own, added in ((silence, silence), (silence, loud), (loud, silence)):
        gamma = gamma_of_snr(own, added, torch.zeros(1))
        assert 0 < float(gamma) < 1
        mixture = mix_with_shifted(torch.zeros(1, 2, 2), gamma)
        assert mixture.isfinite().all()


def test_levels_are_uniform_between_their_bounds() -> None:
    recipe = LossRecipe(snr_db=(-10.0, 10.0))
    powers = torch.zeros(20_000).double()
    gamma = draw_rates(powers, powers, recipe, generator())
    snr_db = 10 * ((1 - gamma) / gamma).log10()
    assert float(snr_db.min()) == pytest.approx(-10, abs=0.05)
    assert float(snr_db.max()) == pytest.approx(10, abs=0.05)
    # Five standard deviations of the mean.
    assert float(snr_db.mean()) == pytest.approx(0, abs=0.21)


def test_without_a_level_ratio_the_rate_does_not_depend_on_the_levels() -> None:
    recipe = LossRecipe()
    loud, quiet = torch.zeros(9), torch.full((9,), -20.0)
    expected = draw_uniform(loud, recipe.gamma, generator())
    assert torch.equal(draw_rates(loud, quiet, recipe, generator()), expected)


# Mixtures of waveforms


def test_a_mixture_of_waveforms_is_a_scaled_sum_of_them() -> None:
    clips, others = tiny_run.crops(3).double(), tiny_run.crops(3, 1).double()
    gamma = torch.tensor([0.1, 0.5, 0.9]).double()
    found = mix_waveforms(clips, gamma, others)
    for n, rate in enumerate(gamma.tolist()):
        gain = math.sqrt(rate / (1 - rate))
        expected = clips[n] + gain * others[(n + 1) % 3]
        torch.testing.assert_close(found[n], math.sqrt(1 - rate) * expected)


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 10.0])
def test_the_parts_of_a_mixture_of_waveforms_have_their_level_ratio(snr_db: float) -> None:
    clips = tiny_run.crops(3).double()
    powers = log_power_of_waveform(clips)
    gamma = gamma_of_snr(powers, shift(powers), torch.full((3,), snr_db))
    parts = [(1 - gamma).sqrt()[:, None] * clips, gamma.sqrt()[:, None] * clips.roll(-1, 0)]
    own, added = (part.square().mean(dim=1) for part in parts)
    assert (10 * (own / added).log10()).tolist() == pytest.approx([snr_db] * 3)


def test_of_noise_the_mel_power_of_the_sum_is_that_of_equation_2() -> None:
    """The cross terms have mean 0; averaged over bins and frames they are small."""

    def mel_power(waveform: Tensor) -> Tensor:
        return LogMel()(waveform).exp().mean(dim=(1, 2))

    noise = torch.randn(3, 160_000, generator=generator()) * torch.tensor([[0.1], [0.3], [0.05]])
    gamma = torch.tensor([0.2, 0.5, 0.8])
    power = mel_power(noise)
    expected = (1 - gamma) * power + gamma * power.roll(-1, 0)
    torch.testing.assert_close(
        mel_power(mix_waveforms(noise, gamma, noise)), expected, rtol=0.03, atol=0
    )
