"""Learning rate over the steps of a run."""

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
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))
