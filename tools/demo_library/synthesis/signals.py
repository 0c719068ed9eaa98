"""Sirens and car horns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.demo_library.synthesis.resonance import harmonics
from tools.demo_library.synthesis.space import echoing
from tools.demo_library.synthesis.spectrum import band, noise, tilt
from tools.demo_library.synthesis.timeline import Samples, curve, instants, place, rms, silence


def siren(
    rng: np.random.Generator,
    seconds: float,
    *,
    low_hz: float,
    high_hz: float,
    sweeps_per_s: float,
    passing: float,
) -> Samples:
    """Return the wail of an emergency vehicle that drives by.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        low_hz: Lowest pitch [Hz].
        high_hz: Highest pitch [Hz].
        sweeps_per_s: Rises per second; slow is a wail, quick is a yelp.
        passing: Doppler shift at the ends of the clip, relative; 0 when the vehicle stands.
    """
    times = instants(seconds)
    turn = (times * sweeps_per_s + 0.1) % 1.0
    height = np.where(turn < 0.45, np.sin(np.pi / 2 * turn / 0.45), 1 - (turn - 0.45) / 0.55)
    pitch = low_hz * (high_hz / low_hz) ** np.clip(height, 0.0, 1.0)
    past = np.tanh(3 * (times / seconds - 0.5))
    pitch = pitch * (1 - passing * past)
    tone = harmonics(pitch, band(500.0, 3500.0, order=1.0), slope=0.9, limit=14)
    tone *= 1 - 0.7 * np.abs(past) * min(1.0, 10 * passing)
    street = noise(rng, seconds, tilt(-5.0, from_hz=80.0))
    wet = echoing(rng, tone, t60_s=1.2, wet=0.3, bright_hz=3500.0)
    return wet + 0.06 * rms(wet) * street


def horn(
    rng: np.random.Generator,
    seconds: float,
    *,
    blasts: Sequence[tuple[float, float]],
    notes_hz: Sequence[float],
) -> Samples:
    """Return a car horn: two discs that buzz a third apart.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        blasts: Start and duration of each blast [s].
        notes_hz: Pitches that sound together [Hz].
    """
    canvas = silence(seconds)
    for start, length in blasts:
        attack = curve(length, (0.0, 0.0), (0.03, 1.0), (length - 0.03, 1.0), (length, 0.0))
        for note in notes_hz:
            pitch = note * curve(length, (0.0, 0.96), (0.05, 1.0))
            buzz = harmonics(pitch, band(700.0, 4000.0, order=1.0), slope=0.35, limit=40)
            place(canvas, buzz * attack, at_s=start)
    street = noise(rng, seconds, tilt(-5.0, from_hz=80.0))
    wet = echoing(rng, canvas, t60_s=0.9, wet=0.15, bright_hz=3000.0)
    return wet + 0.03 * rms(wet) * street
