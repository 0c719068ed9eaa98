from __future__ import annotations

import itertools
import math

import pytest

from training.pretraining.schedules import ema_decay, learning_rate
from training.recipe import OptimRecipe


def test_a_constant_rate_does_not_change() -> None:
    recipe = OptimRecipe(learning_rate=0.5)
    assert {learning_rate(step, 100, recipe) for step in range(100)} == {0.5}


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_rate_rises_linearly_to_its_peak(schedule: str) -> None:
    recipe = OptimRecipe.model_validate(
        {"learning_rate": 0.8, "warmup_steps": 4, "schedule": schedule}
    )
    rates = [learning_rate(step, 20, recipe) for step in range(5)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])


def test_a_cosine_falls_to_0_after_the_last_step() -> None:
    recipe = OptimRecipe(learning_rate=2.0, warmup_steps=10, schedule="cosine")
    rates = [learning_rate(step, 110, recipe) for step in range(10, 110)]
    assert rates[0] == 2.0
    assert rates[50] == pytest.approx(1.0)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))
    assert rates[-1] == pytest.approx(1 + math.cos(math.pi * 99 / 100))
    assert learning_rate(110, 110, recipe) == pytest.approx(0)


def test_a_run_shorter_than_its_warm_up_only_warms_up() -> None:
    recipe = OptimRecipe(learning_rate=1.0, warmup_steps=10, schedule="cosine")
    assert [learning_rate(step, 3, recipe) for step in range(3)] == pytest.approx([0.1, 0.2, 0.3])


def test_the_decay_is_constant_by_default() -> None:
    recipe = OptimRecipe(ema_decay=0.7)
    assert {ema_decay(step, 100, recipe) for step in range(100)} == {0.7}


def test_the_decay_rises_along_a_cosine_to_1_after_the_last_step() -> None:
    recipe = OptimRecipe(ema_decay=0.8, ema_schedule="cosine")
    decays = [ema_decay(step, 100, recipe) for step in range(100)]
    assert decays[0] == pytest.approx(0.8)
    assert decays[50] == pytest.approx(0.9)
    assert all(earlier < later < 1 for earlier, later in itertools.pairwise(decays))
    assert ema_decay(100, 100, recipe) == pytest.approx(1)
