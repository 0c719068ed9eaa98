"""Clock, door and vacuum cleaner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.demo_library.synthesis.resonance import Mode, struck
from tools.demo_library.synthesis.space import echoing
from tools.demo_library.synthesis.spectrum import band, noise, peak, tilt
from tools.demo_library.synthesis.timeline import (
    SAMPLE_RATE,
    Samples,
    curve,
    decay,
    instants,
    place,
    silence,
    unit,
    wander,
)

MOTOR_TONES = ((1, 1.0), (2, 0.5), (3, 0.3), (4, 0.3), (6, 0.2), (7, 0.35), (14, 0.6), (28, 0.1))
"""Harmonics of the turns of the motor and their gains; its fan has 7 blades."""

TOOTH = ((0.0, 0.35), (0.009, 0.6), (0.018, 1.0))
"""The three clicks of one beat of an escapement (unlocking, impulse, drop): delay [s], gain."""


def clock(
    rng: np.random.Generator, seconds: float, *, beats_per_s: float, case_hz: float
) -> Samples:
    """Return a ticking clock: tick and tock of the escapement in its case.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        beats_per_s: Ticks and tocks per second.
        case_hz: Lowest resonance of the case [Hz].
    """
    canvas = silence(seconds)
    beat, at = 0, 0.1
    while at < seconds - 0.1:
        sharp, loud = ((1.0, 1.0), (0.86, 0.75))[beat % 2]
        for late, gain in TOOTH:
            place(canvas, _tick(rng, case_hz, sharp), at_s=at + late, gain=loud * gain)
        beat += 1
        at += (1.0 + 0.03 * (-1) ** beat) / beats_per_s
    return echoing(rng, canvas, t60_s=0.3, wet=0.08, bright_hz=3500.0)


def _tick(rng: np.random.Generator, case_hz: float, sharp: float) -> Samples:
    """Return the click of a tooth of the wheel on the pallet."""
    case = [
        Mode(case_hz * ratio * sharp, 0.14 / ratio**0.5, gain)
        for ratio, gain in ((1.0, 0.3), (1.63, 0.35), (2.71, 0.35), (3.9, 0.3), (5.3, 0.25))
    ]
    metal = [
        Mode(hz * sharp, t60, gain)
        for hz, t60, gain in ((2950, 0.05, 0.35), (4300, 0.04, 0.3), (5900, 0.03, 0.15))
    ]
    click = noise(rng, 0.12, band(700.0, 6000.0, order=1.0)) * decay(0.12, 0.02)
    return struck([*case, *metal], 0.12) + 0.6 * click


def knocks(
    rng: np.random.Generator,
    seconds: float,
    *,
    knocks_s: Sequence[float],
    panel_hz: float,
) -> Samples:
    """Return knuckles on a wooden door.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        knocks_s: When the door is knocked on [s].
        panel_hz: Lowest mode of the door's panel [Hz].
    """
    canvas = silence(seconds)
    for at in knocks_s:
        bend = rng.uniform(0.98, 1.02)
        modes = [
            Mode(panel_hz * bend * ratio * rng.uniform(0.99, 1.01), t60, gain)
            for ratio, t60, gain in (
                (1.00, 0.16, 1.0),
                (1.58, 0.13, 0.7),
                (2.24, 0.10, 0.6),
                (2.92, 0.09, 0.4),
                (4.10, 0.07, 0.3),
                (5.70, 0.05, 0.2),
                (8.30, 0.03, 0.12),
            )
        ]
        knuckle = noise(rng, 0.2, band(300.0, 2000.0, order=1.5)) * decay(0.2, 0.03)
        place(canvas, struck(modes, 0.2) + 0.5 * knuckle, at_s=at, gain=rng.uniform(0.8, 1.0))
    return echoing(rng, canvas, t60_s=0.45, wet=0.15, bright_hz=2500.0)


def vacuum_cleaner(
    rng: np.random.Generator,
    seconds: float,
    *,
    motor_hz: float,
    start_s: float,
    strokes_per_s: float,
) -> Samples:
    """Return a vacuum cleaner: the whine of its motor in a rush of air.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        motor_hz: Turns of the motor per second at full speed.
        start_s: Time the motor takes to get up to speed [s]; 0 when it runs already.
        strokes_per_s: How often the nozzle is pushed over the floor and back.
    """
    still = 0.25 if start_s else 1.0
    speed = curve(seconds, (0.0, still), (0.4 * start_s, max(still, 0.8)), (start_s + 1e-3, 1.0))
    stroke = np.sin(2 * np.pi * strokes_per_s * instants(seconds))
    pitch = motor_hz * speed * (1 + 0.012 * stroke + 0.002 * wander(rng, seconds, hz=20.0))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    whine = sum(level * np.sin(k * phase) for k, level in MOTOR_TONES)
    air = noise(rng, seconds, band(180.0, 4500.0, order=0.8))
    air += 0.5 * noise(rng, seconds, tilt(-4.0)) + 0.5 * noise(rng, seconds, peak(900.0, 500.0))
    air *= 1 + 0.15 * stroke + 0.05 * wander(rng, seconds, hz=8.0)
    return speed**2 * (unit(air) + 0.5 * whine)
