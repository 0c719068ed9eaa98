"""The online and the target network of BYOL (paper, figure 1; docs/method.md, A13 and A14)."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.model.encoder import DIM, AudioEncoder
from training.pretraining.heads import PROJECTION, Head


class OnlineNetwork(nn.Module):
    """The network that is trained: encoder, projector and predictors.

    Args:
        encoder: The encoder that is exported later.
        with_difference: Whether there is a second predictor, for the difference loss.
        teacher_dim: Length of the teacher's embeddings, for the predictor of them; 0 for none.
        n_labels: Number of the teacher's classes, for the predictor of its scores; 0 for none.
    """

    def __init__(
        self,
        encoder: AudioEncoder,
        *,
        with_difference: bool,
        teacher_dim: int = 0,
        n_labels: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = Head(DIM)
        self.predictor = Head(PROJECTION)
        self.difference_predictor = Head(PROJECTION) if with_difference else None
        self.teacher_predictor = Head(DIM, teacher_dim) if teacher_dim else None
        self.label_predictor = Head(DIM, n_labels) if n_labels else None


class TargetNetwork(nn.Module):
    """Moving average of the online encoder and projector; it gets no gradient."""

    def __init__(self, online: OnlineNetwork) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(online.encoder)
        self.projector = copy.deepcopy(online.projector)
        self.requires_grad_(requires_grad=False)

    @torch.no_grad()
    def forward(
        self, view: Float[Tensor, "batch mels frames"], generator: torch.Generator
    ) -> Float[Tensor, "batch projection"]:
        """Compute the projection ``z_xi`` of a view."""
        projection: Tensor = self.projector(self.encoder(view, generator))
        return projection


@torch.no_grad()
def update_average(target: nn.Module, online: nn.Module, decay: float) -> None:
    """Move the target's parameters towards the online ones: ``xi = decay xi + (1 - decay) theta``.

    Only parameters are averaged. Buffers, such as the running statistics of BatchNorm, are the
    target's own (docs/method.md, A13).
    """
    current = dict(online.named_parameters())
    names, averages = zip(*target.named_parameters(), strict=True)
    torch._foreach_lerp_(list(averages), [current[name] for name in names], 1.0 - decay)
