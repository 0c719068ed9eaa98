"""The objective of pre-training: each equation of the paper and the function that computes it.

    equation 1   L_byol = 2 - 2 cos(q(g(f(v))), z_xi(v'))                      byol_loss
    equation 2   w = ln(gamma exp(s(v)) + (1 - gamma) exp(v))                  mix_with_shifted
    equation 3   L_diff = 2 - 2 cos(q_hat(g(f(w) - gamma s(f(v)))), z_xi(v'))  difference_loss
    section 4    L = (1 - lambda) L_byol + lambda L_diff                       weighted_sum

``v`` and ``v'`` are two views of a batch, and ``s`` shifts a batch by one sample. ``f`` is the
online encoder, ``g`` the projector, ``q`` and ``q_hat`` are the predictors, and ``z_xi`` is the
target network's projection. docs/method.md, A1 to A12, decides what the paper leaves open.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.pretraining.augment import normalise_jointly
from training.pretraining.networks import OnlineNetwork
from training.recipe import LossRecipe


class Views(NamedTuple):
    """Two augmented views of a batch, jointly normalised.

    Attributes:
        first: View v.
        second: View v'.
        nats_per_unit: Standard deviation that the normalisation divided by [nats].
    """

    first: Float[Tensor, "batch mels frames"]
    second: Float[Tensor, "batch mels frames"]
    nats_per_unit: Float[Tensor, ""]


class Losses(NamedTuple):
    """The two losses of a batch, each summed over its two directions.

    Attributes:
        byol: ``L_byol``, 0 to 8.
        difference: ``L_diff``, 0 to 8, or 0 where lambda is 0.
        embedding: Online embeddings of the first view, detached; collapse is detected on them.
    """

    byol: Float[Tensor, ""]
    difference: Float[Tensor, ""]
    embedding: Float[Tensor, "batch dim"]


class Objective(nn.Module):
    """The online network and its two losses as one module.

    Distributed training averages the gradients of one ``forward``, so both losses are computed in
    it. With lambda = 0 the difference branch does not run and training is BYOL-A (A12).
    """

    def __init__(self, online: OnlineNetwork, recipe: LossRecipe) -> None:
        super().__init__()
        self.online = online
        self.recipe = recipe

    def forward(
        self,
        views: Views,
        targets: tuple[Float[Tensor, "batch projection"], Float[Tensor, "batch projection"]],
        generator: torch.Generator,
    ) -> Losses:
        """Compute the losses of two views.

        Args:
            views: The views v and v'.
            targets: Target projections of v and v'; each view predicts that of the other.
            generator: Source of dropout and mixing rates.
        """
        encoder = self.online.encoder
        embeddings = encoder(views.first, generator), encoder(views.second, generator)
        byol = self.byol_loss(embeddings[0], targets[1])
        byol = byol + self.byol_loss(embeddings[1], targets[0])
        difference = torch.zeros_like(byol)
        if self.recipe.lambda_ > 0:
            nats = views.nats_per_unit
            difference = self.difference_loss(
                views.first, embeddings[0], targets[1], nats, generator
            )
            difference = difference + (
                self.difference_loss(views.second, embeddings[1], targets[0], nats, generator)
                if self.recipe.symmetric
                else difference
            )
        return Losses(byol, difference, embeddings[0].detach())

    def byol_loss(
        self,
        embedding: Float[Tensor, "batch dim"],
        target: Float[Tensor, "batch projection"],
    ) -> Float[Tensor, ""]:
        """Predict the target's projection of the other view: equation 1, in one direction."""
        prediction = self.online.predictor(self.online.projector(embedding))
        return normalised_squared_error(prediction, target)

    def difference_loss(
        self,
        view: Float[Tensor, "batch mels frames"],
        embedding: Float[Tensor, "batch dim"],
        target: Float[Tensor, "batch projection"],
        nats_per_unit: Float[Tensor, ""],
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """Predict a view from its mixture minus the other sound: equation 3, in one direction.

        Args:
            view: View v, which is mixed with the next one of the batch.
            embedding: Online embedding of ``view``.
            target: Target projection of the other view, v'.
            nats_per_unit: See ``Views``; used where mel power is mixed (A5).
            generator: Source of dropout and mixing rates.
        """
        assert self.online.difference_predictor is not None
        gamma = draw_gamma(view, self.recipe.gamma, generator)
        mixes_power = self.recipe.mix_domain == "power"
        mixture = mix_with_shifted(view, gamma, nats_per_unit if mixes_power else 1.0)
        if self.recipe.renormalise:
            mixture, _ = normalise_jointly(mixture)
        removed = shift(embedding.detach() if self.recipe.stop_gradient else embedding)
        remainder = self.online.encoder(mixture, generator) - gamma.unsqueeze(1) * removed
        prediction = self.online.difference_predictor(self.online.projector(remainder))
        return normalised_squared_error(prediction, target)


def shift(x: Float[Tensor, "batch *rest"]) -> Float[Tensor, "batch *rest"]:
    """Shift a batch by one: sample n becomes sample n + 1, the last becomes the first."""
    return x.roll(-1, dims=0)


def draw_gamma(
    like: Float[Tensor, "batch *rest"], bounds: tuple[float, float], generator: torch.Generator
) -> Float[Tensor, " batch"]:
    """Draw one mixing rate per sample, uniform between the bounds (paper, section 5.1)."""
    low, high = bounds
    uniform = torch.rand(len(like), generator=generator, device=like.device)
    return low + (high - low) * uniform


def mix_with_shifted(
    view: Float[Tensor, "batch mels frames"],
    gamma: Float[Tensor, " batch"],
    nats_per_unit: float | Float[Tensor, ""] = 1.0,
) -> Float[Tensor, "batch mels frames"]:
    """Mix each view with the next one of the batch: equation 2, computed without overflow.

    ``gamma`` is the weight of the shifted sound, which is subtracted later (A1).

    Args:
        view: Augmented and normalised log-mel, the input of the encoder.
        gamma: Mixing rate of each sample, above 0 and below 1.
        nats_per_unit: 1 mixes the normalised values, as equation 2 is written. The standard
            deviation of the normalisation [nats] mixes mel power; its mean cancels (A5).
    """
    rate = gamma[:, None, None]
    shifted = rate.log() + nats_per_unit * shift(view)
    own = torch.log1p(-rate) + nats_per_unit * view
    return torch.logaddexp(shifted, own) / nats_per_unit


def normalised_squared_error(
    prediction: Float[Tensor, "batch projection"], target: Float[Tensor, "batch projection"]
) -> Float[Tensor, ""]:
    """Compute the squared distance of unit vectors, ``2 - 2 cos``, averaged over the batch.

    The common form of equations 1 and 3, between 0 (same direction) and 4 (opposite). Computed in
    float32 at least: late in training, 1 - cos is smaller than the resolution of bfloat16.
    """
    full = torch.promote_types(prediction.dtype, torch.float32)
    cosine = nn.functional.cosine_similarity(prediction.to(full), target.to(full), dim=1)
    return (2.0 - 2.0 * cosine).mean()


def weighted_sum(
    byol: Float[Tensor, ""], difference: Float[Tensor, ""], lambda_: float
) -> Float[Tensor, ""]:
    """Weigh the two losses: ``(1 - lambda) L_byol + lambda L_diff`` (paper, section 4)."""
    return (1.0 - lambda_) * byol + lambda_ * difference
