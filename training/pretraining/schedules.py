"""Learning rate and decay of the target network over the steps of a run."""

from __future__ import annotations

import math

from training.recipe import OptimRecipe


def learning_rate(step: int, n_steps: float, recipe: OptimRecipe) -> float:
    """Compute the learning rate of a step.

    It rises linearly over the warm-up. Afterwards it is constant (``constant``), or falls along
    half a cosine to 0 after the last step (``cosine``).

    Args:
        step: From 0 to ``n_steps - 1``.
        n_steps: Steps of the whole run; of a run of a given time, their estimate.
        recipe: Peak, warm-up and schedule.
    """
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    if recipe.schedule == "constant":
        return recipe.learning_rate
    progress = (step - recipe.warmup_steps) / max(1, n_steps - recipe.warmup_steps)
    return recipe.learning_rate * _half_cosine(progress)


def ema_decay(step: int, n_steps: float, recipe: OptimRecipe) -> float:
    """Compute the decay of the target network's moving average at a step.

    It is constant (``constant``), or rises along half a cosine to 1 after the last step
    (``cosine``), as in BYOL (Grill et al. 2020, section 3.3).

    Args:
        step: From 0 to ``n_steps - 1``.
        n_steps: Steps of the whole run, or their estimate.
        recipe: First decay, and schedule.
    """
    if recipe.ema_schedule == "constant":
        return recipe.ema_decay
    return 1.0 - (1.0 - recipe.ema_decay) * _half_cosine(step / n_steps)


def _half_cosine(progress: float) -> float:
    """Compute a half cosine that falls from 1 to 0 while ``progress`` rises from 0 to 1."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))
