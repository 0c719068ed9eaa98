"""Detection of runs that cannot recover: divergence and collapse."""

from __future__ import annotations

import math

from training.errors import CollapseError, DivergenceError
from training.pretraining.step import StepMetrics

COLLAPSED_STD = 0.02  # the shipped encoder stayed near 0.3 from its first step to its last
COLLAPSED_STEPS = 100


class StabilityCheck:
    """Checks the metrics of every step; counts the steps for which collapse has lasted."""

    def __init__(self) -> None:
        self._collapsed_steps = 0

    def check(self, step: int, metrics: StepMetrics) -> None:
        """Check one step.

        Raises:
            DivergenceError: The loss or the gradient is not finite.
            CollapseError: For 100 steps all embeddings have had nearly the same direction.
        """
        if not (math.isfinite(metrics.loss) and math.isfinite(metrics.gradient_norm)):
            raise DivergenceError(
                f"step {step}: loss {metrics.loss}, gradient norm {metrics.gradient_norm}; lower "
                f"optim.learning_rate or raise optim.warmup_steps"
            )
        collapsed = metrics.embedding_std < COLLAPSED_STD
        self._collapsed_steps = self._collapsed_steps + 1 if collapsed else 0
        if self._collapsed_steps >= COLLAPSED_STEPS:
            raise CollapseError(
                f"step {step}: for {COLLAPSED_STEPS} steps the embeddings' standard deviation has "
                f"been under {COLLAPSED_STD} (now {metrics.embedding_std:.3g}): they no longer "
                f"differ from each other"
            )
