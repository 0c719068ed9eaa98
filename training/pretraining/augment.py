"""Augmentation of BYOL-A v2: mixup, random resize crop, random linear fader.

All of it works on a batch of normalised log-mels (docs/method.md, "Augmentation"). The mixture of
equation 2 of the paper is not an augmentation: it is in `training.pretraining.objective`.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.model.frontend import LOG_OFFSET
from training.pretraining.resize import random_resize_crop
from training.recipe import ViewsRecipe


class MixupBank(nn.Module):
    """Ring buffer of the last inputs, before mixing; mixup draws its backgrounds from it.

    It is made of module buffers, so that a checkpoint contains it.

    Args:
        size: Number of inputs.
        mels: Mel bands of an input.
        frames: Frames of an input.
    """

    inputs: Tensor
    pushed: Tensor

    def __init__(self, size: int, mels: int, frames: int) -> None:
        super().__init__()
        self.register_buffer("inputs", torch.zeros(size, mels, frames))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.int64))

    def draw(self, n: int, generator: torch.Generator) -> Float[Tensor, "n mels frames"] | None:
        """Draw ``n`` inputs uniformly; None while the bank is empty."""
        filled = min(int(self.pushed), len(self.inputs))
        if filled == 0:
            return None
        chosen = torch.randint(filled, (n,), generator=generator, device=self.inputs.device)
        return self.inputs[chosen]

    def push(self, inputs: Float[Tensor, "batch mels frames"]) -> None:
        """Replace the oldest inputs by a batch."""
        size = len(self.inputs)
        newest = inputs[-size:]
        first = int(self.pushed) + len(inputs) - len(newest)
        rows = (first + torch.arange(len(newest), device=inputs.device)) % size
        self.inputs[rows] = newest.to(self.inputs)
        self.pushed += len(inputs)


def augment(
    log_mel: Float[Tensor, "batch mels frames"],
    bank: MixupBank,
    recipe: ViewsRecipe,
    generator: torch.Generator,
    *,
    remember: bool = True,
) -> Float[Tensor, "batch mels frames"]:
    """Make one augmented view of a batch of normalised log-mels.

    Backgrounds are drawn before the batch is pushed into the bank, if ``remember`` says so.
    """
    background = bank.draw(len(log_mel), generator)
    view = log_mel
    if background is not None:
        view = mixup(log_mel, background, recipe.mixup_ratio, generator)
    if remember:
        bank.push(log_mel)
    view = random_resize_crop(
        view, generator, scale=recipe.crop_scale, canvas_scale=recipe.canvas_scale
    )
    return random_linear_fader(view, recipe.fader_gain, generator)


def mixup(
    log_mel: Float[Tensor, "batch mels frames"],
    background: Float[Tensor, "batch mels frames"],
    ratio: float,
    generator: torch.Generator,
) -> Float[Tensor, "batch mels frames"]:
    """Mix in a quiet background: ``ln((1 - a) exp(x) + a exp(z) + eps)``, a ~ ratio U(0, 1)."""
    share = ratio * torch.rand(len(log_mel), 1, 1, generator=generator, device=log_mel.device)
    return ((1.0 - share) * log_mel.exp() + share * background.exp() + LOG_OFFSET).log()


def random_linear_fader(
    log_mel: Float[Tensor, "batch mels frames"], gain: float, generator: torch.Generator
) -> Float[Tensor, "batch mels frames"]:
    """Add a straight line over time, equal for all mels; both ends are drawn ~ gain U(-1, 1)."""
    batch, _, frames = log_mel.shape
    ends = gain * (2.0 * torch.rand(2, batch, 1, generator=generator, device=log_mel.device) - 1.0)
    time = torch.linspace(0.0, 1.0, frames, device=log_mel.device)
    line = torch.lerp(ends[0], ends[1], time)
    return log_mel + line.unsqueeze(1)


def normalise_jointly(
    views: Float[Tensor, "batch mels frames"],
) -> tuple[Float[Tensor, "batch mels frames"], Float[Tensor, ""]]:
    """Normalise all views by one mean and one standard deviation, over all values.

    Returns:
        The normalised views, and the standard deviation that they were divided by.
    """
    std = views.std().clamp(min=torch.finfo(views.dtype).eps)
    return (views - views.mean()) / std, std
