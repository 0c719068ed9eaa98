"""Mean and confidence interval of a few runs (docs/method.md, "Confidence interval")."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


def estimate(runs: Sequence[float]) -> tuple[float, float]:
    """Estimate a mean with Student's t; three runs give a half width of 2.484 deviations.

    Args:
        runs: One value for each seed, at least one.

    Returns:
        The mean, and the half width of its 95 % confidence interval; 0 for a single run.
    """
    values = np.asarray(runs, np.float64)
    mean, half_width = float(values.mean()), 0.0
    if values.size > 1:
        quantile = float(stats.t.ppf((1.0 + CONFIDENCE) / 2.0, values.size - 1))
        half_width = quantile * float(values.std(ddof=1)) / math.sqrt(values.size)
    return mean, half_width


def apart(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Tell whether all runs of one side are above all runs of the other."""
    return min(ours) > max(theirs) or max(ours) < min(theirs)


def summarise(runs: Sequence[float]) -> dict[str, object]:
    """Summarise accuracies, 0 to 1, for a results file, in percent."""
    percents = [100.0 * run for run in runs]
    mean, half_width = estimate(percents)
    return {
        "mean": round(mean, 2),
        "interval_95": round(half_width, 2),
        "runs": [round(percent, 2) for percent in percents],
    }
