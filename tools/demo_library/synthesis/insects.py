"""Crickets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.demo_library.synthesis.space import echoing
from tools.demo_library.synthesis.spectrum import band, noise
from tools.demo_library.synthesis.timeline import Samples, instants, place, rms, silence

STROKE_S = 0.016
STROKE_EVERY_S = 0.026


def crickets(
    rng: np.random.Generator,
    seconds: float,
    *,
    carriers_hz: Sequence[float],
    chirps_per_s: float,
    pulses: int,
) -> Samples:
    """Return crickets: chirps of a few pulses of a pure high tone, one insect per carrier.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        carriers_hz: Tone of each insect [Hz], the nearest first.
        chirps_per_s: Chirps per second of each.
        pulses: Strokes of the wings per chirp.
    """
    canvas = silence(seconds)
    for distance, carrier in enumerate(carriers_hz, start=1):
        pace = chirps_per_s * rng.uniform(0.9, 1.1)
        at = rng.uniform(0.0, 1 / pace)
        while at < seconds:
            chirp = _chirp(carrier * rng.uniform(0.995, 1.005), pulses)
            place(canvas, chirp, at_s=at, gain=rng.uniform(0.85, 1.0) / distance**0.8)
            at += rng.uniform(0.96, 1.04) / pace
    night = noise(rng, seconds, band(100.0, 2500.0, order=0.7))
    canvas = echoing(rng, canvas, t60_s=0.4, wet=0.08, bright_hz=7000.0)
    return canvas + 0.03 * rms(canvas) * night


def _chirp(carrier_hz: float, pulses: int) -> Samples:
    """Return one chirp: strokes of the wings, each a little louder than the last."""
    times = instants(STROKE_S)
    x = times / STROKE_S
    phase = 2 * np.pi * carrier_hz * times * (1.015 - 0.03 * x)
    stroke = (np.sin(phase) + 0.06 * np.sin(2 * phase)) * np.sin(np.pi * x**0.7) ** 1.2
    chirp = silence(STROKE_EVERY_S * pulses)
    for k in range(pulses):
        place(chirp, stroke, at_s=k * STROKE_EVERY_S, gain=0.5 + 0.5 * (k + 1) / pulses)
    return chirp
