"""The objective of pre-training: each equation of the paper and the function that computes it.

    equation 1   L_byol = 2 - 2 cos(q(g(f(v))), z_xi(v'))                      byol_loss
    equation 2   w = ln(gamma exp(s(v)) + (1 - gamma) exp(v))                  mix_with_shifted
    equation 3   L_diff = 2 - 2 cos(q_hat(g(f(w) - gamma s(f(v)))), z_xi(v'))  difference_loss
    section 4    L = (1 - lambda) L_byol + lambda L_diff                       weighted_sum

Beyond the paper, with weights that are 0 by default (docs/method.md, "Distillation"):

    L_teacher    = 2 - 2 cos(h(f(v)), t)                                       teacher_loss
    L_remainder  = 2 - 2 cos(h(f(w) - gamma s(f(v))), t)                       teacher_loss
    L_labels     = KL(p, sigmoid(k(f(v)) + logit(p_mean)))                     label_loss

``v`` and ``v'`` are two views of a batch, and ``s`` shifts a batch by one sample. ``f`` is the
online encoder, ``g`` the projector, ``q`` and ``q_hat`` are the predictors, and ``z_xi`` is the
target network's projection. ``t`` is the teacher's embedding of the clip, and ``h`` predicts it;
``p`` are its scores, which ``k`` predicts, also from the remainder. docs/method.md, A1 to A12,
decides what the paper leaves open. Equation 2 is in ``training.pretraining.mixing``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.pretraining.augment import normalise_jointly
from training.pretraining.mixing import Mixture, draw_rates, log_power, mix_with_shifted, shift
from training.pretraining.networks import OnlineNetwork
from training.pretraining.views import Views
from training.recipe import LossRecipe
from training.teacher.target import Taught


class Losses(NamedTuple):
    """The losses of a batch, each summed over its two directions.

    Attributes:
        byol: ``L_byol``, 0 to 8.
        difference: ``L_diff``, 0 to 8, or 0 where lambda is 0.
        teacher: ``L_teacher``, 0 to 8, or 0 where its weight is 0.
        remainder: ``L_remainder``, 0 to 8, or 0 where its weight is 0.
        labels: ``L_labels`` of both views [nats], or 0 where its weight is 0.
        labels_remainder: ``L_labels`` of the remainder [nats], or 0 where its weight is 0.
        embedding: Online embeddings of the first view, detached; collapse is detected on them.
    """

    byol: Float[Tensor, ""]
    difference: Float[Tensor, ""]
    teacher: Float[Tensor, ""]
    remainder: Float[Tensor, ""]
    labels: Float[Tensor, ""]
    labels_remainder: Float[Tensor, ""]
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
        taught: Taught | None = None,
    ) -> Losses:
        """Compute the losses of two views.

        Args:
            views: The views v and v'.
            targets: Target projections of v and v'; each view predicts that of the other.
            generator: Source of dropout and mixing rates.
            taught: The teacher's output for the clips; None without a teacher.
        """
        recipe, encoder = self.recipe, self.online.encoder
        embeddings = encoder(views.first, generator), encoder(views.second, generator)
        byol = self.byol_loss(embeddings[0], targets[1])
        byol = byol + self.byol_loss(embeddings[1], targets[0])
        zero = torch.zeros_like(byol)
        weights = recipe.teacher, recipe.teacher_labels
        teacher, labels = self.taught_losses(embeddings, taught, weights, zero)
        remainders = [
            self.subtract(self.mix(views, i, generator), embeddings[i], generator)
            for i in range(recipe.directions)
        ]
        weight = 2 / max(recipe.directions, 1)
        difference = zero
        for left, target in zip(remainders, targets[::-1], strict=False):
            if recipe.lambda_ > 0:
                difference = difference + weight * self.difference_loss(left, target)
        weights = recipe.teacher_difference, recipe.teacher_labels_difference
        of_remainders = self.taught_losses(remainders, taught, weights, zero)
        remainder, labels_remainder = (weight * loss for loss in of_remainders)
        return Losses(
            byol,
            difference,
            teacher,
            remainder,
            labels,
            labels_remainder,
            embeddings[0].detach(),
        )

    def byol_loss(
        self,
        embedding: Float[Tensor, "batch dim"],
        target: Float[Tensor, "batch projection"],
    ) -> Float[Tensor, ""]:
        """Predict the target's projection of the other view: equation 1, in one direction."""
        prediction = self.online.predictor(self.online.projector(embedding))
        return normalised_squared_error(prediction, target)

    def mix(self, views: Views, direction: int, generator: torch.Generator) -> Mixture:
        """Mix a view with another sound, or take the mixture that was made from waveforms.

        Args:
            views: The views, and what is mixed with them.
            direction: 0 for v, 1 for v'.
            generator: Source of mixing rates.
        """
        if views.mixtures:
            return views.mixtures[direction]
        view = (views.first, views.second)[direction]
        added = views.added[direction] if views.added else view
        nats = views.nats_per_unit if self.recipe.mix_domain == "power" else 1.0
        gamma = draw_rates(log_power(view, nats), log_power(added, nats), self.recipe, generator)
        return Mixture(mix_with_shifted(view, gamma, nats, added), gamma)

    def subtract(
        self,
        mixture: Mixture,
        embedding: Float[Tensor, "batch dim"],
        generator: torch.Generator,
    ) -> Float[Tensor, "batch dim"]:
        """Embed a mixture and subtract the sound that was mixed in: ``f(w) - gamma s(f(v))``.

        Args:
            mixture: Mixture w and its rates.
            embedding: Online embedding of view v, whose shifted sound was mixed in.
            generator: Source of dropout.
        """
        log_mel, gamma = mixture
        if self.recipe.renormalise:
            log_mel, _ = normalise_jointly(log_mel)
        removed = shift(embedding.detach() if self.recipe.stop_gradient else embedding)
        embedded: Tensor = self.online.encoder(log_mel, generator)
        return embedded - gamma.unsqueeze(1) * removed

    def difference_loss(
        self, remainder: Float[Tensor, "batch dim"], target: Float[Tensor, "batch projection"]
    ) -> Float[Tensor, ""]:
        """Predict the other view v' from what subtraction left of v: equation 3, one direction."""
        assert self.online.difference_predictor is not None
        prediction = self.online.difference_predictor(self.online.projector(remainder))
        return normalised_squared_error(prediction, target)

    def taught_losses(
        self,
        embeddings: Iterable[Float[Tensor, "batch dim"]],
        taught: Taught | None,
        weights: tuple[float, float],
        zero: Float[Tensor, ""],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Sum the teacher loss and the label loss over embeddings; ``zero`` without a weight."""
        teacher = labels = zero
        if taught is None:
            return teacher, labels
        for embedding in embeddings:
            if weights[0] > 0:
                teacher = teacher + self.teacher_loss(embedding, taught.embedding)
            if weights[1] > 0:
                labels = labels + self.label_loss(embedding, taught)
        return teacher, labels

    def teacher_loss(
        self, embedding: Float[Tensor, "batch dim"], target: Float[Tensor, "batch taught"]
    ) -> Float[Tensor, ""]:
        """Predict the teacher's embedding of the clip from an embedding or a remainder."""
        assert self.online.teacher_predictor is not None
        return normalised_squared_error(self.online.teacher_predictor(embedding), target)

    def label_loss(
        self, embedding: Float[Tensor, "batch dim"], taught: Taught
    ) -> Float[Tensor, ""]:
        """Predict the teacher's scores of the clip from an embedding or a remainder.

        The head predicts how far their log-odds are from those of the mean scores.
        """
        assert self.online.label_predictor is not None
        logits = self.online.label_predictor(embedding) + taught.prior
        return label_divergence(logits, taught.scores)


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


def label_divergence(
    logits: Float[Tensor, "batch classes"], scores: Float[Tensor, "batch classes"]
) -> Float[Tensor, ""]:
    """Compute the divergence of predicted scores from the teacher's, averaged over the batch.

    The classes do not exclude each other, so it is the sum over the classes of the Kullback-Leibler
    divergence of two yes-or-no distributions [nats]: the binary cross-entropy less the entropy of
    the scores, 0 for a perfect prediction. The gradient is that of the cross-entropy.

    Args:
        logits: Predicted log-odds of each class.
        scores: Probabilities of the teacher.
    """
    full = torch.promote_types(logits.dtype, torch.float32)
    logits, scores = logits.to(full), scores.to(full)
    cross = nn.functional.binary_cross_entropy_with_logits(logits, scores, reduction="none")
    entropy = -torch.xlogy(scores, scores) - torch.xlogy(1.0 - scores, 1.0 - scores)
    return (cross - entropy).sum(dim=1).mean()


def weighted_sum(losses: Losses, recipe: LossRecipe) -> Float[Tensor, ""]:
    """Weigh the losses: ``(1 - lambda) L_byol + lambda L_diff`` (paper, section 4).

    The losses of the teacher are added with their weights.
    """
    total = (1.0 - recipe.lambda_) * losses.byol + recipe.lambda_ * losses.difference
    if recipe.predicts_embedding:
        total = total + recipe.teacher * losses.teacher
        total = total + recipe.teacher_difference * losses.remainder
    if recipe.predicts_labels:
        total = total + recipe.teacher_labels * losses.labels
        total = total + recipe.teacher_labels_difference * losses.labels_remainder
    return total
