"""The objective of pre-training: each equation of the paper and the function that computes it.

    equation 1   L_byol = 2 - 2 cos(q(g(f(v))), z_xi(v'))                      byol_loss
    equation 2   w = ln(gamma exp(s(v)) + (1 - gamma) exp(v))                  mix_with_shifted
    equation 3   L_diff = 2 - 2 cos(q_hat(g(f(w) - gamma s(f(v)))), z_xi(v'))  difference_loss
    section 4    L = (1 - lambda) L_byol + lambda L_diff                       weighted_sum

Beyond the paper, with weights that are 0 by default (docs/method.md, "Distillation"):

    L_teacher    = 2 - 2 cos(h(f(v)), t)                                       teacher_loss
    L_remainder  = 2 - 2 cos(h(f(w) - gamma s(f(v))), t)                       teacher_loss

``v`` and ``v'`` are two views of a batch, and ``s`` shifts a batch by one sample. ``f`` is the
online encoder, ``g`` the projector, ``q`` and ``q_hat`` are the predictors, and ``z_xi`` is the
target network's projection. ``t`` is the teacher's embedding of the clip, and ``h`` predicts it.
docs/method.md, A1 to A12, decides what the paper leaves open.
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
        teacher: ``L_teacher``, 0 to 8, or 0 where its weight is 0.
        remainder: ``L_remainder``, 0 to 8, or 0 where its weight is 0.
        embedding: Online embeddings of the first view, detached; collapse is detected on them.
    """

    byol: Float[Tensor, ""]
    difference: Float[Tensor, ""]
    teacher: Float[Tensor, ""]
    remainder: Float[Tensor, ""]
    embedding: Float[Tensor, "batch dim"]


class Objective(nn.Module):
    """The online network and its losses as one module.

    Distributed training averages the gradients of one ``forward``, so all losses are computed in
    it. If no loss with a weight needs the mixture, the difference branch does not run; with
    lambda = 0 and no teacher, training is BYOL-A (A12).
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
        taught: Float[Tensor, "batch taught"] | None = None,
    ) -> Losses:
        """Compute the losses of two views.

        Args:
            views: The views v and v'.
            targets: Target projections of v and v'; each view predicts that of the other.
            generator: Source of dropout and mixing rates.
            taught: The teacher's embeddings of the clips; None without a teacher.
        """
        encoder = self.online.encoder
        embeddings = encoder(views.first, generator), encoder(views.second, generator)
        byol = self.byol_loss(embeddings[0], targets[1])
        byol = byol + self.byol_loss(embeddings[1], targets[0])
        teacher = torch.zeros_like(byol)
        if self.recipe.teacher > 0 and taught is not None:
            teacher = sum((self.teacher_loss(it, taught) for it in embeddings), teacher)
        difference = remainder = torch.zeros_like(byol)
        if self.recipe.subtracts:
            directions = [(views.first, embeddings[0], targets[1])]
            if self.recipe.symmetric:
                directions.append((views.second, embeddings[1], targets[0]))
            weight = 2 / len(directions)
            for view, embedding, target in directions:
                left = self.subtract(view, embedding, views.nats_per_unit, generator)
                if self.recipe.lambda_ > 0:
                    difference = difference + weight * self.difference_loss(left, target)
                if self.recipe.teacher_difference > 0 and taught is not None:
                    remainder = remainder + weight * self.teacher_loss(left, taught)
        return Losses(byol, difference, teacher, remainder, embeddings[0].detach())

    def byol_loss(
        self,
        embedding: Float[Tensor, "batch dim"],
        target: Float[Tensor, "batch projection"],
    ) -> Float[Tensor, ""]:
        """Predict the target's projection of the other view: equation 1, in one direction."""
        prediction = self.online.predictor(self.online.projector(embedding))
        return normalised_squared_error(prediction, target)

    def subtract(
        self,
        view: Float[Tensor, "batch mels frames"],
        embedding: Float[Tensor, "batch dim"],
        nats_per_unit: Float[Tensor, ""],
        generator: torch.Generator,
    ) -> Float[Tensor, "batch dim"]:
        """Mix a view with another sound and subtract that sound: ``f(w) - gamma s(f(v))``.

        Args:
            view: View v, which is mixed with the next one of the batch.
            embedding: Online embedding of ``view``.
            nats_per_unit: See ``Views``; used where mel power is mixed (A5).
            generator: Source of dropout and mixing rates.
        """
        gamma = draw_gamma(view, self.recipe.gamma, generator)
        mixes_power = self.recipe.mix_domain == "power"
        mixture = mix_with_shifted(view, gamma, nats_per_unit if mixes_power else 1.0)
        if self.recipe.renormalise:
            mixture, _ = normalise_jointly(mixture)
        removed = shift(embedding.detach() if self.recipe.stop_gradient else embedding)
        embedded: Tensor = self.online.encoder(mixture, generator)
        return embedded - gamma.unsqueeze(1) * removed

    def difference_loss(
        self, remainder: Float[Tensor, "batch dim"], target: Float[Tensor, "batch projection"]
    ) -> Float[Tensor, ""]:
        """Predict the other view v' from what subtraction left of v: equation 3, one direction."""
        assert self.online.difference_predictor is not None
        prediction = self.online.difference_predictor(self.online.projector(remainder))
        return normalised_squared_error(prediction, target)

    def teacher_loss(
        self, embedding: Float[Tensor, "batch dim"], taught: Float[Tensor, "batch taught"]
    ) -> Float[Tensor, ""]:
        """Predict the teacher's embedding of the clip from an embedding or a remainder."""
        assert self.online.teacher_predictor is not None
        return normalised_squared_error(self.online.teacher_predictor(embedding), taught)


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


def weighted_sum(losses: Losses, recipe: LossRecipe) -> Float[Tensor, ""]:
    """Weigh the losses: ``(1 - lambda) L_byol + lambda L_diff`` (paper, section 4).

    The teacher losses are added with their weights.
    """
    total = (1.0 - recipe.lambda_) * losses.byol + recipe.lambda_ * losses.difference
    if recipe.has_teacher:
        total = total + recipe.teacher * losses.teacher
        total = total + recipe.teacher_difference * losses.remainder
    return total
