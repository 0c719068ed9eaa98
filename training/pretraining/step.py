"""One pre-training step: a function of state, batch and generator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.profiler import record_function

from training.model.model import EmbeddingModel
from training.pretraining.augment import MixupBank
from training.pretraining.networks import OnlineNetwork, TargetNetwork, update_average
from training.pretraining.objective import Losses, weighted_sum
from training.pretraining.views import Views, make_views
from training.recipe import Recipe
from training.teacher.target import Taught, TeacherTarget


@dataclass(frozen=True, slots=True)
class TrainState:
    """Everything that a step changes.

    Attributes:
        model: Front end, statistics and the online encoder: the part that is exported.
        online: Encoder, projector and predictors.
        target: The averaged encoder and projector.
        bank: Backgrounds for mixup.
        optimiser: Adam over the online parameters.
        objective: ``Objective`` of the online network, or its distributed wrapper.
        teacher: Source of the targets of the teacher losses; None without them.
    """

    model: EmbeddingModel
    online: OnlineNetwork
    target: TargetNetwork
    bank: MixupBank
    optimiser: torch.optim.Optimizer
    objective: nn.Module
    teacher: TeacherTarget | None = None


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """Metrics of one step.

    Attributes:
        loss: The weighted sum.
        byol: ``L_byol``, 0 to 8.
        difference: ``L_diff``, 0 to 8.
        teacher: ``L_teacher``, 0 to 8.
        remainder: ``L_remainder``, 0 to 8.
        gradient_norm: Length of the whole gradient.
        embedding_std: See the function ``embedding_std``; 0 is collapse.
        labels: ``L_labels`` of both views [nats].
        labels_remainder: ``L_labels`` of the remainder [nats].
    """

    loss: float
    byol: float
    difference: float
    teacher: float
    remainder: float
    gradient_norm: float
    embedding_std: float
    labels: float = 0.0
    labels_remainder: float = 0.0


def train_step(  # noqa: PLR0913 - a batch has two parts
    state: TrainState,
    clips: Float[Tensor, "batch samples"],
    generator: torch.Generator,
    *,
    recipe: Recipe,
    precision: torch.dtype = torch.float32,
    ema_decay: float | None = None,
    excerpts: Float[Tensor, "batch samples"] | None = None,
) -> StepMetrics:
    """Do one step of BYOL-A with the difference loss; no files, clocks or global randomness.

    Args:
        state: Changed in place.
        clips: Crops at 16 kHz.
        generator: Source of all randomness of the step.
        recipe: Augmentation, objective and average.
        precision: Type that matrix products are computed in.
        ema_decay: Decay of the moving average; None takes the recipe's.
        excerpts: Another crop of each clip, for a recipe that mixes excerpts; None otherwise.
    """
    with record_function("augmentation"):
        views = make_views(state.model, state.bank, clips, generator, recipe, excerpts)
    with record_function("forward"):
        taught = None if state.teacher is None else state.teacher(clips)
        losses = compute_losses(state, views, generator, precision, taught)
        loss = weighted_sum(losses, recipe.loss)
    with record_function("backward"):
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # by torch
    with record_function("optimiser"):
        gradients = [p.grad for p in state.online.parameters() if p.grad is not None]
        gradient_norm = torch.nn.utils.get_total_norm(gradients)
        state.optimiser.step()
        decay = recipe.optim.ema_decay if ema_decay is None else ema_decay
        update_average(state.target, state.online, decay)
    return StepMetrics(
        loss=float(loss.detach()),
        byol=float(losses.byol.detach()),
        difference=float(losses.difference.detach()),
        teacher=float(losses.teacher.detach()),
        remainder=float(losses.remainder.detach()),
        gradient_norm=float(gradient_norm),
        embedding_std=float(embedding_std(losses.embedding)),
        labels=float(losses.labels.detach()),
        labels_remainder=float(losses.labels_remainder.detach()),
    )


def compute_losses(
    state: TrainState,
    views: Views,
    generator: torch.Generator,
    precision: torch.dtype,
    taught: Taught | None = None,
) -> Losses:
    """Run the target and the online network on the views.

    Args:
        state: The networks.
        views: The views.
        generator: Source of dropout and mixing rates.
        precision: Type that matrix products are computed in.
        taught: The teacher's output for the clips; None without a teacher.
    """
    reduced = precision != torch.float32
    with torch.autocast(views.first.device.type, dtype=precision, enabled=reduced):
        targets = state.target(views.first, generator), state.target(views.second, generator)
        losses: Losses = state.objective(views, targets, generator, taught)
    return losses


def embedding_std(embedding: Float[Tensor, "batch dim"]) -> Float[Tensor, ""]:
    """Measure how much the directions of embeddings differ.

    The standard deviation over the batch of the unit-length embeddings, averaged over the
    dimensions, times the square root of their number. 0 is collapse; unrelated random directions
    give about 1.
    """
    directions = nn.functional.normalize(embedding.float(), dim=1)
    std: Tensor = directions.std(dim=0).mean() * directions.shape[1] ** 0.5
    return std
