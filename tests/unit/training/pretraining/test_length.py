from __future__ import annotations

import itertools
import math

import pytest

from training.pretraining.length import RunLength
from training.pretraining.schedules import ema_decay, learning_rate
from training.recipe import OptimRecipe

COSINE = OptimRecipe(learning_rate=1.0, warmup_steps=10, schedule="cosine", ema_schedule="cosine")


def test_a_run_of_epochs_ends_after_its_steps() -> None:
    length = RunLength(100)
    assert [length.is_over(step, 1e9) for step in (0, 99, 100)] == [False, False, True]
    assert length.total_steps(7, 1e9) == 100
    assert length.known_steps == 100


def test_a_stop_ends_it_early_and_leaves_the_schedules() -> None:
    length = RunLength(100, stop_after=40)
    assert [length.is_over(step, 0.0) for step in (39, 40)] == [False, True]
    assert length.total_steps(30, 5.0) == 100


def test_a_time_replaces_the_epochs() -> None:
    length = RunLength(100, seconds=60.0)
    assert not length.is_over(5_000, 59.9)
    assert length.is_over(3, 60.0)
    assert length.known_steps is None
    assert RunLength(100, seconds=60.0, stop_after=4).is_over(4, 1.0)


@pytest.mark.parametrize("speed", [0.5, 3.0, 20.0])
def test_the_cosine_ends_where_the_time_ends_at_any_speed(speed: float) -> None:
    """Rates only fall after the warm-up; halfway the rate is about a half, and then near 0."""
    length = RunLength(1, seconds=600.0)
    steps = range(round(600 * speed))
    totals = [length.total_steps(step, step / speed) for step in steps]
    rates = [learning_rate(s, n, COSINE) for s, n in zip(steps, totals, strict=True)]
    decays = [ema_decay(s, n, COSINE) for s, n in zip(steps, totals, strict=True)]
    after = rates[10:]
    assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(after))
    assert rates[len(rates) // 2] == pytest.approx(0.5, abs=0.03)
    assert rates[-1] < 0.001
    assert decays[-1] == pytest.approx(1.0, abs=1e-4)


def test_the_first_step_has_no_speed_yet() -> None:
    length = RunLength(1, seconds=60.0)
    assert length.total_steps(0, 0.0) == math.inf
    assert 0 < learning_rate(0, math.inf, COSINE) <= 0.1
    assert ema_decay(0, math.inf, COSINE) == COSINE.ema_decay
    assert length.total_steps(9, 75.0) == 10  # over the time: the last step
