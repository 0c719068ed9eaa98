"""Mixtures of the sounds of a batch: equation 2 of the paper and its mixing rates.

Beyond the paper, the rate may follow from a level ratio, another excerpt may be mixed in than the
one that is subtracted, and waveforms may be mixed (docs/method.md, "Other mixtures").
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from training.recipe import LossRecipe

NEPERS_PER_DB = math.log(10.0) / 10.0  # of power
LOWEST_POWER = 1e-12  # of a waveform; silence counts as this


class Mixture(NamedTuple):
    """Mixtures of a batch, as the encoder gets them.

    Attributes:
        log_mel: Mixture w.
        gamma: Rate of the sound that was mixed in, which is subtracted later (A1).
    """

    log_mel: Float[Tensor, "batch mels frames"]
    gamma: Float[Tensor, " batch"]


def shift(x: Float[Tensor, "batch *rest"]) -> Float[Tensor, "batch *rest"]:
    """Shift a batch by one: sample n becomes sample n + 1, the last becomes the first."""
    return x.roll(-1, dims=0)


def draw_rates(
    own: Float[Tensor, " batch"],
    added: Float[Tensor, " batch"],
    recipe: LossRecipe,
    generator: torch.Generator,
) -> Float[Tensor, " batch"]:
    """Draw the mixing rate gamma of each sample, by itself or from a level ratio.

    Args:
        own: Logarithm of the mean power of each sound.
        added: The same of the sounds of ``s(v)``, not shifted yet.
        recipe: Bounds of the rate, or of the level ratio.
        generator: Source of the rates.
    """
    if recipe.snr_db is None:
        return draw_uniform(own, recipe.gamma, generator)
    return gamma_of_snr(own, shift(added), draw_uniform(own, recipe.snr_db, generator))


def draw_uniform(
    like: Float[Tensor, "batch *rest"], bounds: tuple[float, float], generator: torch.Generator
) -> Float[Tensor, " batch"]:
    """Draw one value per sample, uniform between the bounds (paper, section 5.1)."""
    low, high = bounds
    uniform = torch.rand(len(like), generator=generator, device=like.device)
    return low + (high - low) * uniform


def gamma_of_snr(
    own: Float[Tensor, " batch"], added: Float[Tensor, " batch"], snr_db: Float[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Compute the rate at which the two parts of equation 2 have a given level ratio.

    The parts have the powers ``(1 - gamma) P_own`` and ``gamma P_added``. With their ratio
    ``10^(snr / 10)``, ``gamma = P_own / (P_own + 10^(snr / 10) P_added)``.

    Args:
        own: Logarithm of the mean power of the sound that stays.
        added: The same of the sound that is subtracted.
        snr_db: Power of the first part over that of the second [dB].
    """
    smallest = torch.finfo(own.dtype).eps
    rate = torch.sigmoid(own - added - NEPERS_PER_DB * snr_db.to(own))
    return rate.clamp(smallest, 1.0 - smallest)


def log_power(
    view: Float[Tensor, "batch mels frames"], nats_per_unit: float | Float[Tensor, ""] = 1.0
) -> Float[Tensor, " batch"]:
    """Compute the logarithm of the mean over bins and frames of ``exp(nats_per_unit v)``."""
    values = nats_per_unit * view.flatten(1)
    return values.logsumexp(dim=1) - math.log(values.shape[1])


def log_power_of_waveform(clips: Float[Tensor, "batch samples"]) -> Float[Tensor, " batch"]:
    """Compute the logarithm of the mean square."""
    return clips.square().mean(dim=1).clamp(min=LOWEST_POWER).log()


def mix_with_shifted(
    view: Float[Tensor, "batch mels frames"],
    gamma: Float[Tensor, " batch"],
    nats_per_unit: float | Float[Tensor, ""] = 1.0,
    added: Float[Tensor, "batch mels frames"] | None = None,
) -> Float[Tensor, "batch mels frames"]:
    """Mix each view with the next one of the batch: equation 2, computed without overflow.

    ``gamma`` is the weight of the shifted sound, which is subtracted later (A1).

    Args:
        view: Augmented and normalised log-mel, the input of the encoder.
        gamma: Mixing rate of each sample, above 0 and below 1.
        nats_per_unit: 1 mixes the normalised values, as equation 2 is written. The standard
            deviation of the normalisation [nats] mixes mel power; its mean cancels (A5).
        added: Views whose next one is mixed in; None takes ``view`` itself.
    """
    rate = gamma[:, None, None]
    shifted = rate.log() + nats_per_unit * shift(view if added is None else added)
    own = torch.log1p(-rate) + nats_per_unit * view
    return torch.logaddexp(shifted, own) / nats_per_unit


def mix_waveforms(
    clips: Float[Tensor, "batch samples"],
    gamma: Float[Tensor, " batch"],
    added: Float[Tensor, "batch samples"],
) -> Float[Tensor, "batch samples"]:
    """Mix each clip with the next one: ``sqrt(1 - gamma) x + sqrt(gamma) s(x)``.

    Up to its level, that is ``x + g s(x)`` with ``g^2 = gamma / (1 - gamma)``. Of sounds that are
    not correlated the powers add up, so the expected power is that of equation 2.

    Args:
        clips: Sounds that stay.
        gamma: Mixing rate of each sample, 0 to 1.
        added: Sounds whose next one is mixed in.
    """
    rate = gamma[:, None]
    return (1.0 - rate).sqrt() * clips + rate.sqrt() * shift(added)
