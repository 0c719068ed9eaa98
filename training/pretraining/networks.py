"""The online and the target network, and the objective that ties them (paper, figure 1)."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.model.encoder import DIM, AudioEncoder
from training.pretraining.augment import normalise_jointly
from training.pretraining.heads import PROJECTION, Head
from training.pretraining.losses import normalised_squared_error
from training.pretraining.mixing import draw_gamma, mix_with_shifted, shift
from training.recipe import LossRecipe


class Views(NamedTuple):
    """Two augmented views of a batch, jointly normalised.

    Attributes:
        first: View v.
        second: View v'.
        spread: Standard deviation in nats that one unit of the views stands for.
    """

    first: Float[Tensor, "batch mels frames"]
    second: Float[Tensor, "batch mels frames"]
    spread: Float[Tensor, ""]


class Losses(NamedTuple):
    """The two losses of a batch, each summed over its two directions.

    Attributes:
        byol: ``L_byol``, 0 to 8.
        difference: ``L_diff``, 0 to 8, or 0 where lambda is 0.
        embedding: Online embeddings of the first view, for watching collapse.
    """

    byol: Float[Tensor, ""]
    difference: Float[Tensor, ""]
    embedding: Float[Tensor, "batch dim"]


class TargetNetwork(nn.Module):
    """Encoder and projector that follow the online ones and never get a gradient."""

    def __init__(self, encoder: AudioEncoder, projector: Head) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder)
        self.projector = copy.deepcopy(projector)
        self.requires_grad_(requires_grad=False)

    @torch.no_grad()
    def forward(
        self, view: Float[Tensor, "batch mels frames"], generator: torch.Generator
    ) -> Float[Tensor, "batch projection"]:
        """Project a view: ``z_xi``."""
        projection: Tensor = self.projector(self.encoder(view, generator))
        return projection


class OnlineNetwork(nn.Module):
    """Encoder, projector and predictors, and the losses against the target's projections.

    Called as one module so that distributed training can average its gradients.
    With lambda = 0 the difference branch and its predictor do not exist.
    """

    def __init__(self, encoder: AudioEncoder, recipe: LossRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.encoder = encoder
        self.projector = Head(DIM)
        self.predictor = Head(PROJECTION)
        self.difference_predictor = Head(PROJECTION) if recipe.lambda_ > 0 else None

    def forward(
        self,
        views: Views,
        targets: tuple[Float[Tensor, "batch projection"], Float[Tensor, "batch projection"]],
        generator: torch.Generator,
    ) -> Losses:
        """Compute the losses of two views.

        Args:
            views: The views v and v'.
            targets: Target projections of v and v'; each view predicts the other's.
            generator: Source of dropout and mixing rates.
        """
        embeddings = self.encoder(views.first, generator), self.encoder(views.second, generator)
        first, second = (self.predictor(self.projector(y)) for y in embeddings)
        byol = normalised_squared_error(first, targets[1])
        byol = byol + normalised_squared_error(second, targets[0])
        difference = torch.zeros_like(byol)
        if self.difference_predictor is not None:
            difference = self.difference_loss(
                views.first, embeddings[0], targets[1], views.spread, generator
            )
            difference = difference + (
                self.difference_loss(
                    views.second, embeddings[1], targets[0], views.spread, generator
                )
                if self.recipe.symmetric
                else difference
            )
        return Losses(byol, difference, embeddings[0].detach())

    def difference_loss(
        self,
        view: Float[Tensor, "batch mels frames"],
        embedding: Float[Tensor, "batch dim"],
        target: Float[Tensor, "batch projection"],
        spread: Float[Tensor, ""],
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """Take the next sound of the batch out of a mixture and predict the one that remains.

        ``z_hat = g(f(w) - gamma s(f(v)))``, compared with the target's view of v.

        Reference: Takeuchi et al., section 4 and equation 3, readings A1-A10 of the facts.
        """
        assert self.difference_predictor is not None
        gamma = draw_gamma(view, self.recipe.gamma, generator)
        in_power = self.recipe.mix_domain == "power"
        mixture = mix_with_shifted(view, gamma, spread=spread if in_power else 1.0)
        if self.recipe.renormalise:
            mixture, _ = normalise_jointly(mixture)
        other = shift(embedding.detach() if self.recipe.stop_gradient else embedding)
        remainder = self.encoder(mixture, generator) - gamma.unsqueeze(1) * other
        prediction = self.difference_predictor(self.projector(remainder))
        return normalised_squared_error(prediction, target)


@torch.no_grad()
def update_average(target: nn.Module, online: nn.Module, decay: float) -> None:
    """Move the target's parameters towards the online ones: ``xi = decay xi + (1 - decay) theta``.

    Only parameters are averaged; buffers, the statistics of BatchNorm among them, are the
    target's own.
    """
    current = dict(online.named_parameters())
    names, averages = zip(*target.named_parameters(), strict=True)
    torch._foreach_lerp_(list(averages), [current[name] for name in names], 1.0 - decay)
