"""Applause and footsteps on gravel."""

from __future__ import annotations

import numpy as np

from tools.demo_library.synthesis.space import echoing
from tools.demo_library.synthesis.spectrum import band, convolved, noise, peak
from tools.demo_library.synthesis.timeline import (
    SAMPLE_RATE,
    Samples,
    curve,
    decay,
    hits,
    place,
    random_times,
    silence,
    unit,
)


def applause(
    rng: np.random.Generator, seconds: float, *, people: int, hall_s: float, near: int
) -> Samples:
    """Return an applauding audience, each person clapping at a pace and with hands of their own.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        people: Size of the audience.
        hall_s: Reverberation time of the hall [s].
        near: How many of them sit near and are heard one by one.
    """
    total = silence(seconds)
    sounds = 24
    for group in range(sounds):
        clap = _clap(rng)
        times, gains = [], []
        for person in range(group, people, sounds):
            pace = rng.normal(4.0, 0.5)
            count = int(seconds * pace) + 2
            own = rng.uniform(0, 1 / pace) + np.cumsum(rng.normal(1 / pace, 0.03 / pace, count))
            gain = rng.uniform(0.7, 1.0) if person < near else rng.uniform(0.05, 0.3)
            times.append(own - 1 / pace)
            gains.append(gain * rng.uniform(0.7, 1.0, count))
        total += convolved(hits(seconds, np.concatenate(times), np.concatenate(gains)), clap)
    return echoing(rng, total, t60_s=hall_s, wet=0.35, bright_hz=4000.0)


def _clap(rng: np.random.Generator) -> Samples:
    """Return one clap of two hands: a burst around the resonance of the air between them."""
    centre = 2 ** rng.uniform(10.0, 11.4)
    cup = noise(rng, 0.05, peak(centre, 0.7 * centre)) * decay(0.05, rng.uniform(0.02, 0.04))
    slap = noise(rng, 0.05, band(1200.0, 6000.0, order=1.0)) * decay(0.05, 0.012)
    return cup + rng.uniform(0.1, 0.3) * slap


def footsteps(
    rng: np.random.Generator, seconds: float, *, steps_per_s: float, stone_hz: float, heel: float
) -> Samples:
    """Return steps on gravel: heel and sole press stones against each other.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        steps_per_s: Steps per second.
        stone_hz: Typical resonance of the stones [Hz]; smaller ones are higher.
        heel: How hard the heel comes down.
    """
    canvas = silence(seconds)
    at = 0.15
    while at < seconds - 0.3:
        place(canvas, _step(rng, stone_hz, heel, min(1.0, 1.9 / steps_per_s)), at_s=at)
        at += rng.uniform(0.95, 1.05) / steps_per_s
    return echoing(rng, canvas, t60_s=0.2, wet=0.05)


def _step(rng: np.random.Generator, stone_hz: float, heel: float, slow: float) -> Samples:
    """Return one step: grains, dense under the heel, then again as the sole rolls off."""
    seconds = 0.42 * slow
    t = seconds / 10
    pressure = curve(
        seconds,
        (0, 0),
        (1.0 * t, 1),
        (2.5 * t, 0.4),
        (3.5 * t, 0.3),
        (5 * t, 0.8),
        (7 * t, 0.35),
        (10 * t, 0),
    )
    crunch = silence(seconds)
    for spread in (-1.2, -0.6, 0.0, 0.6, 1.2):
        hz = stone_hz * 2**spread
        grain = noise(rng, 0.008, peak(hz, 0.6 * hz)) * decay(0.008, 0.008)
        times = random_times(rng, seconds, per_s=260.0)
        force = pressure[(times * SAMPLE_RATE).astype(np.int64)]
        keep = rng.random(len(times)) < force
        gains = rng.lognormal(0.0, 0.8, int(keep.sum())) * force[keep] / 2**spread
        crunch += convolved(hits(seconds, times[keep], gains), grain)
    scrape = noise(rng, seconds, band(300.0, 3000.0, order=0.7)) * pressure**1.5
    thud = noise(rng, seconds, band(60.0, 250.0)) * decay(seconds, 0.12) * (pressure > 0)
    return unit(crunch) + 0.4 * scrape + 5.0 * heel * thud
