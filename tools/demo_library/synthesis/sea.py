"""Waves of the sea."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.demo_library.synthesis.spectrum import band, filtered, moving_noise
from tools.demo_library.synthesis.timeline import (
    Samples,
    Values,
    hits,
    instants,
    random_times,
    unit,
    wander,
)


def waves(
    rng: np.random.Generator,
    seconds: float,
    *,
    crests_s: Sequence[float],
    bright_hz: float,
    boom: float,
) -> Samples:
    """Return waves that break on a shore and drain away in foam.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        crests_s: Times at which the waves break [s], also outside of the clip.
        bright_hz: Upper corner of the noise at the loudest moment [Hz].
        boom: How loud the low thud of the falling crest is.
    """
    times = instants(seconds)
    swell, foam = np.zeros(len(times)), np.zeros(len(times))
    for crest in crests_s:
        since = times - crest
        swell += np.where(since < 0, np.exp(since / 0.55), np.exp(-since / 0.8))
        foam += np.where(since < 0, np.exp(since / 0.15), np.exp(-since / 1.7))
    swell *= np.exp(0.12 * wander(rng, seconds, hz=5.0))

    def gains(hz: Values, t: Values) -> Values:
        height = np.interp(t, times, swell)
        body = band(120.0, 350.0 + bright_hz * height, order=1.0)(hz) * (0.06 + height)
        return body + boom * height**2 * band(40.0, 160.0)(hz)

    fizz_times = random_times(rng, seconds, per_s=2500.0)
    fizz = hits(seconds, fizz_times, rng.lognormal(0.0, 0.8, len(fizz_times)))
    hiss = filtered(fizz * rng.choice((-1.0, 1.0), len(fizz)), band(2500.0, 9000.0, order=1.0))
    return moving_noise(rng, seconds, gains) + 0.22 * foam * unit(hiss)
