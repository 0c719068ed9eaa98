"""The views of a batch, and the sounds that are mixed with them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from training.model.model import EmbeddingModel
from training.pretraining.augment import MixupBank, augment, normalise_jointly
from training.pretraining.mixing import Mixture, draw_rates, log_power_of_waveform, mix_waveforms
from training.recipe import Recipe


class Views(NamedTuple):
    """Two augmented views of a batch, jointly normalised, and what is mixed with them.

    Attributes:
        first: View v.
        second: View v'.
        nats_per_unit: Standard deviation that the normalisation divided by [nats].
        added: One view, of another excerpt of each recording, for each direction of the
            difference loss; it is mixed in. Empty: the view itself is.
        mixtures: The mixture of each direction, where waveforms are mixed.
    """

    first: Float[Tensor, "batch mels frames"]
    second: Float[Tensor, "batch mels frames"]
    nats_per_unit: Float[Tensor, ""]
    added: tuple[Float[Tensor, "batch mels frames"], ...] = ()
    mixtures: tuple[Mixture, ...] = ()


@torch.no_grad()
def make_views(
    model: EmbeddingModel,
    bank: MixupBank,
    clips: Float[Tensor, "batch samples"],
    generator: torch.Generator,
    recipe: Recipe,
    excerpts: Float[Tensor, "batch samples"] | None = None,
) -> Views:
    """Make the two views of a batch: log-mel, statistics, augmentation, joint normalisation.

    What is mixed with them is augmented with draws of its own, normalised by the mean and the
    standard deviation of the views, and not stored in the bank.

    Args:
        model: Front end and statistics.
        bank: Backgrounds for mixup.
        clips: Crops.
        generator: Source of the augmentation, and of the rates of mixed waveforms.
        recipe: Augmentation and kind of mixture.
        excerpts: Another crop of each recording, or None.
    """
    log_mel = model.log_mel(clips)
    first = augment(log_mel, bank, recipe.views, generator)
    second = augment(log_mel, bank, recipe.views, generator)
    both = torch.cat([first, second])
    views, std = normalise_jointly(both)
    first, second = views.chunk(2)

    def view_of(waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch mels frames"]:
        log_mel = model.log_mel(waveforms)
        view = augment(log_mel, bank, recipe.views, generator, remember=False)
        return (view - both.mean()) / std

    added: list[Tensor] = []
    mixtures: list[Mixture] = []
    for _ in range(recipe.loss.directions):
        if recipe.loss.mix_domain == "waveform":
            other = clips if excerpts is None else excerpts
            powers = log_power_of_waveform(clips), log_power_of_waveform(other)
            gamma = draw_rates(*powers, recipe.loss, generator)
            mixtures.append(Mixture(view_of(mix_waveforms(clips, gamma, other)), gamma))
        elif excerpts is not None:
            added.append(view_of(excerpts))
    return Views(first, second, std * model.std, tuple(added), tuple(mixtures))
