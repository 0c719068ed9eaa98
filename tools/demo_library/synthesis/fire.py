"""A fire of wood: crackles and pops over the roar of the flames."""

from __future__ import annotations

import numpy as np

from tools.demo_library.synthesis.space import echoing
from tools.demo_library.synthesis.spectrum import band, noise, peak
from tools.demo_library.synthesis.timeline import (
    Samples,
    decay,
    place,
    random_times,
    silence,
    unit,
    wander,
)


def fire(
    rng: np.random.Generator, seconds: float, *, crackles_per_s: float, roar: float
) -> Samples:
    """Return a crackling fire.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        crackles_per_s: Mean number of bursts of crackles; each has one to six of them.
        roar: RMS of the flames over that of the crackles.
    """
    canvas = silence(seconds)
    for burst in random_times(rng, seconds, per_s=crackles_per_s):
        strength = min(0.3 * (1 + rng.pareto(1.8)), 4.0)
        for _ in range(int(rng.integers(1, 7))):
            at = burst + rng.exponential(0.03)
            place(canvas, _crackle(rng), at_s=at, gain=strength * rng.uniform(0.2, 1.0))
    crackles = echoing(rng, canvas, t60_s=0.25, wet=0.08)
    flames = noise(rng, seconds, band(40.0, 160.0, order=1.5))
    flames *= np.exp(0.45 * wander(rng, seconds, hz=12.0))
    hiss = noise(rng, seconds, band(2500.0, 9000.0, order=1.0))
    hiss *= np.exp(0.6 * wander(rng, seconds, hz=5.0))
    return unit(crackles) + roar * (unit(flames) + 0.35 * hiss)


def _crackle(rng: np.random.Generator) -> Samples:
    """Return one snap of a splitting fibre, 1 to 8 ms long."""
    t60 = rng.uniform(0.003, 0.02)
    hz = 2 ** rng.uniform(11.2, 12.9)
    return noise(rng, 0.02, peak(hz, 0.8 * hz)) * decay(0.02, t60)
