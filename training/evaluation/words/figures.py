"""Means over queries with 95 % intervals, by a bootstrap over the queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

BOOTSTRAPS = 2000
DIGITS = 4

Figure = dict[str, Any]


def mean(values: Sequence[float] | Float64[np.ndarray, " queries"]) -> Figure:
    """Return the mean of one value for each query.

    Returns:
        ``value``, ``interval_95`` and the number of ``queries``; without queries, both are None.
    """
    array = np.asarray(values, np.float64)
    if not array.size:
        return {"value": None, "interval_95": None, "queries": 0}
    return _figure(float(array.mean()), array[_draw(array.size)].mean(axis=1), array.size)


def ratio(above: Float64[np.ndarray, " queries"], below: Float64[np.ndarray, " queries"]) -> Figure:
    """Return the ratio of two sums over the same queries, which are drawn together.

    Args:
        above: One value for each query.
        below: One value for each query; where they add up to 0 there is no ratio.
    """
    if not below.any():
        return {"value": None, "interval_95": None, "queries": below.size}
    drawn = _draw(below.size)
    sums, bases = above[drawn].sum(axis=1), below[drawn].sum(axis=1)
    ratios = sums[bases > 0] / bases[bases > 0]
    return _figure(float(above.sum() / below.sum()), ratios, below.size)


def _draw(n: int) -> Int64[np.ndarray, "draws queries"]:
    return np.random.default_rng(0).integers(n, size=(BOOTSTRAPS, n))


def _figure(value: float, drawn: Float64[np.ndarray, " draws"], n: int) -> Figure:
    low, high = np.percentile(drawn, [2.5, 97.5])
    interval = [round(float(low), DIGITS), round(float(high), DIGITS)]
    return {"value": round(value, DIGITS), "interval_95": interval, "queries": n}
