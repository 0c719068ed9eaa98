"""Sample rate of the demo sounds, control curves, event times and mixing of sounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

SAMPLE_RATE = 24_000
"""Sample rate of everything that is rendered [Hz]."""

DECAY_60_DB = 3 * math.log(10)
"""Exponent of a decay by 60 dB."""

Samples = Float64[npt.NDArray[np.float64], " samples"]

Values = Float64[npt.NDArray[np.float64], "..."]


def n_samples(seconds: float) -> int:
    """Return how many samples a duration has."""
    return round(seconds * SAMPLE_RATE)


def silence(seconds: float) -> Samples:
    """Return zeros of a duration [s]."""
    return np.zeros(n_samples(seconds))


def instants(seconds: float) -> Samples:
    """Return the time of each sample of a duration [s]."""
    return np.arange(n_samples(seconds), dtype=np.float64) / SAMPLE_RATE


def curve(seconds: float, *points: tuple[float, float]) -> Samples:
    """Return straight lines through (time [s], value) points, constant outside of them."""
    knots = np.array(points, dtype=np.float64)
    return np.interp(instants(seconds), knots[:, 0], knots[:, 1]).astype(np.float64)


def decay(seconds: float, t60_s: float) -> Samples:
    """Return an exponential that falls by 60 dB in `t60_s` seconds."""
    return np.exp(-DECAY_60_DB * instants(seconds) / t60_s)


def rms(samples: Samples) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(samples**2)))


def unit(samples: Samples) -> Samples:
    """Return samples scaled to an RMS of 1."""
    return samples / rms(samples)


def place(canvas: Samples, sound: Samples, *, at_s: float, gain: float = 1.0) -> None:
    """Add a sound to a canvas in place; parts outside of the canvas are cut.

    Args:
        canvas: The samples that are changed.
        sound: The sound.
        at_s: Start of the sound on the canvas [s], may be negative.
        gain: Factor of the sound.
    """
    start = n_samples(at_s)
    first, last = max(start, 0), min(start + len(sound), len(canvas))
    if first < last:
        canvas[first:last] += gain * sound[first - start : last - start]


def random_times(rng: np.random.Generator, seconds: float, *, per_s: float) -> Samples:
    """Return the times of a Poisson process [s], in order."""
    return np.sort(rng.uniform(0.0, seconds, rng.poisson(per_s * seconds)))


def wander(rng: np.random.Generator, seconds: float, *, hz: float) -> Samples:
    """Return a smooth random curve with mean 0 and standard deviation 1.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        hz: Knots per second; the curve turns about half as often.
    """
    knots = rng.standard_normal(int(seconds * hz) + 4)
    position = instants(seconds) * hz + 1.0
    left = position.astype(np.int64)
    x = position - left
    before, here, there, after = (knots[left + k] for k in (-1, 0, 1, 2))
    slope, end_slope = (there - before) / 2, (after - here) / 2
    cubic = 2 * (here - there) + slope + end_slope
    square = 3 * (there - here) - 2 * slope - end_slope
    return ((cubic * x + square) * x + slope) * x + here


def hits(seconds: float, times_s: Sequence[float] | Samples, gains: Samples) -> Samples:
    """Return a train of single-sample impulses of the given gains at the given times [s]."""
    train = silence(seconds)
    at = (np.asarray(times_s) * SAMPLE_RATE).astype(np.int64)
    inside = (at >= 0) & (at < len(train))
    np.add.at(train, at[inside], gains[inside])
    return train
