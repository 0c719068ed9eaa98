"""Learning rate, and the averaging of the target, over the steps of a run."""

from __future__ import annotations

import math

from training.recipe import OptimRecipe


def learning_rate(step: int, n_steps: int, recipe: OptimRecipe) -> float:
    """Give the learning rate of a step.

    It rises in a straight line over the warm-up, then stays (``constant``) or falls along a
    half cosine that reaches 0 after the last step (``cosine``).

    Args:
        step: From 0 to ``n_steps - 1``.
        n_steps: Steps of the whole run.
        recipe: Gives the peak, the warm-up and the shape.
    """
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    if recipe.schedule == "constant":
        return recipe.learning_rate
    progress = (step - recipe.warmup_steps) / max(1, n_steps - recipe.warmup_steps)
    return recipe.learning_rate * _half_cosine(progress)


def ema_decay(step: int, n_steps: int, recipe: OptimRecipe) -> float:
    """Give the share of the target that stays at a step.

    It stays (``constant``), or rises along a half cosine that reaches 1 after the last step
    (``cosine``): BYOL, section 3.3 of Grill et al. 2020.

    Args:
        step: From 0 to ``n_steps - 1``.
        n_steps: Steps of the whole run.
        recipe: Gives the share at first, and the shape.
    """
    if recipe.ema_schedule == "constant":
        return recipe.ema_decay
    return 1.0 - (1.0 - recipe.ema_decay) * _half_cosine(step / n_steps)


def _half_cosine(progress: float) -> float:
    """Fall from 1 to 0 while progress rises from 0 to 1."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))
