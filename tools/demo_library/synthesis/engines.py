"""Engines and rotors: impulses that repeat with each part of a turn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.demo_library.synthesis.resonance import Mode, harmonics, struck
from tools.demo_library.synthesis.space import echoing
from tools.demo_library.synthesis.spectrum import band, convolved, noise, tilt
from tools.demo_library.synthesis.timeline import (
    SAMPLE_RATE,
    Samples,
    curve,
    decay,
    hits,
    instants,
    rms,
    unit,
    wander,
)

EXHAUST = (
    Mode(62.0, 0.16, 1.0),
    Mode(118.0, 0.12, 0.9),
    Mode(205.0, 0.09, 0.6),
    Mode(330.0, 0.06, 0.4),
    Mode(540.0, 0.04, 0.25),
    Mode(900.0, 0.025, 0.12),
)


def engine(
    rng: np.random.Generator,
    seconds: float,
    *,
    rpm: Sequence[tuple[float, float]],
    cylinders: int,
    clatter: float,
) -> Samples:
    """Return a running engine: firings in the exhaust, valves and injectors on the block.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        rpm: Speed over time: (time [s], turns per minute).
        cylinders: Cylinders of the four-stroke engine.
        clatter: How loud the block is beside the exhaust; diesel engines have much of it.
    """
    speed = curve(seconds, *rpm) * (1 + 0.012 * wander(rng, seconds, hz=6.0))
    firings = np.cumsum(speed / 120.0 * cylinders) / SAMPLE_RATE
    at = np.searchsorted(firings, np.arange(1, int(firings[-1])))
    times = at.astype(np.float64) / SAMPLE_RATE + rng.normal(0.0, 0.0006, len(at))
    each = rng.uniform(0.7, 1.0, cylinders)
    gains = each[np.arange(len(at)) % cylinders] * rng.uniform(0.85, 1.1, len(at))
    gains *= (speed[at] / speed.min()) ** 0.3
    puff = struck(EXHAUST, 0.25) + 0.3 * noise(rng, 0.25, band(100.0, 900.0)) * decay(0.25, 0.05)
    exhaust = convolved(hits(seconds, times, gains), puff)
    knock = noise(rng, 0.08, band(700.0, 2400.0, order=2.0)) * decay(0.08, 0.07)
    block = convolved(hits(seconds, times + 0.004, gains * rng.lognormal(0, 0.3, len(at))), knock)
    valves = convolved(hits(seconds, times + 0.011, gains), knock * decay(0.08, 0.05))
    fan = noise(rng, seconds, band(150.0, 1500.0)) * (speed / speed.min()) ** 0.5
    dry = unit(exhaust) + clatter * (block + 0.5 * valves) / rms(block) + 0.25 * fan
    return echoing(rng, dry, t60_s=0.35, wet=0.06)


def helicopter(
    rng: np.random.Generator,
    seconds: float,
    *,
    blades_per_s: float,
    turbine_hz: float,
    nearness: Sequence[tuple[float, float]],
) -> Samples:
    """Return a helicopter: the slap of its blades, the rush between them, turbine, tail rotor.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        blades_per_s: Blades of the main rotor that pass per second.
        turbine_hz: Whine of the turbine [Hz].
        nearness: Loudness over time: (time [s], factor).
    """
    times = instants(seconds)
    near = curve(seconds, *nearness)
    turn = (times * blades_per_s) % 1.0
    passes = (np.arange(int(seconds * blades_per_s), dtype=np.float64) + 0.12) / blades_per_s
    slap = struck([Mode(48.0, 0.16, 1.0), Mode(83.0, 0.12, 0.9), Mode(140.0, 0.08, 0.6)], 0.2)
    slap += 0.4 * noise(rng, 0.2, band(80.0, 700.0)) * decay(0.2, 0.09)
    thump = convolved(hits(seconds, passes, rng.uniform(0.85, 1.0, len(passes))), slap)
    beat = 0.7 + np.exp(-0.5 * ((turn - 0.3) / 0.17) ** 2)
    rush = noise(rng, seconds, band(120.0, 1200.0, order=1.6)) * beat
    tail = harmonics(np.full(len(times), 5.3 * blades_per_s), tilt(-3.0), slope=0.5, limit=14)
    whine = np.sin(2 * np.pi * turbine_hz * times + 0.5 * wander(rng, seconds, hz=30.0))
    total = unit(thump) + 0.55 * unit(rush) + 0.2 * unit(tail) + 0.03 * whine
    return echoing(rng, total * near, t60_s=0.7, wet=0.3, bright_hz=900.0)
