from __future__ import annotations

import math

import pytest

from training.errors import CollapseError, DivergenceError
from training.pretraining.stability import COLLAPSED_STEPS, StabilityCheck
from training.pretraining.step import StepMetrics


def metrics(
    *, loss: float = 3.0, gradient_norm: float = 1.0, embedding_std: float = 0.3
) -> StepMetrics:
    return StepMetrics(
        loss=loss,
        byol=loss,
        difference=loss,
        teacher=0.0,
        remainder=0.0,
        gradient_norm=gradient_norm,
        embedding_std=embedding_std,
    )


def test_a_stable_run_passes() -> None:
    stability = StabilityCheck()
    for step in range(2 * COLLAPSED_STEPS):
        stability.check(step, metrics())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_or_gradient_that_is_not_finite_is_divergence_at_its_step(value: float) -> None:
    for bad in (metrics(loss=value), metrics(gradient_norm=value)):
        with pytest.raises(DivergenceError, match=r"step 17.*learning_rate"):
            StabilityCheck().check(17, bad)


def test_equal_embeddings_are_collapse_only_after_100_steps() -> None:
    stability = StabilityCheck()
    for step in range(COLLAPSED_STEPS - 1):
        stability.check(step, metrics(embedding_std=0.001))
    with pytest.raises(CollapseError, match=f"step {COLLAPSED_STEPS - 1}.*0.001"):
        stability.check(COLLAPSED_STEPS - 1, metrics(embedding_std=0.001))


def test_a_run_that_recovers_starts_a_new_count() -> None:
    stability = StabilityCheck()
    for step in range(4 * COLLAPSED_STEPS):
        recovering = step % COLLAPSED_STEPS == COLLAPSED_STEPS - 1
        stability.check(step, metrics(embedding_std=0.3 if recovering else 0.001))
