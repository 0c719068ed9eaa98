"""Piano."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.demo_library.synthesis.resonance import Mode, struck
from tools.demo_library.synthesis.space import echoing
from tools.demo_library.synthesis.spectrum import band, noise
from tools.demo_library.synthesis.timeline import (
    Samples,
    decay,
    instants,
    place,
    silence,
)

Note = tuple[float, float, float]
"""Start [s], length [s] and pitch [MIDI number, 69 is 440 Hz] of a note."""


def pitch_hz(midi: float) -> float:
    """Return the frequency of a MIDI number [Hz]."""
    return float(440.0 * 2 ** ((midi - 69.0) / 12.0))


def piano(rng: np.random.Generator, seconds: float, *, notes: Sequence[Note]) -> Samples:
    """Return a piano playing notes."""
    canvas = silence(seconds)
    for at, length, midi in notes:
        place(canvas, _hammered(rng, midi, length), at_s=at, gain=rng.uniform(0.85, 1.0))
    return echoing(rng, canvas, t60_s=0.9, wet=0.12, bright_hz=4000.0)


def _hammered(rng: np.random.Generator, midi: float, length: float) -> Samples:
    """Return one piano note: stiff strings in pairs, a quick and a slow decay, the hammer."""
    seconds = length + 0.25
    times = instants(seconds)
    base = pitch_hz(midi)
    stiffness = 1.5e-4 * 2 ** ((midi - 48) / 12)
    strings = []
    for n in range(1, 26):
        hz = n * base * float(np.sqrt(1 + stiffness * n * n))
        gain = (abs(np.sin(np.pi * n / 7.6)) + 0.05) / n**0.7 * np.exp(-hz / 2600.0)
        slow = 9.0 * (220.0 / base) ** 0.6 / (1 + 0.25 * n)
        strings.append(Mode(hz * 0.99975, 0.35 * slow, 0.7 * gain))
        strings.append(Mode(hz * 1.0003, slow, 0.4 * gain))
    total = struck(strings, seconds)
    hammer = noise(rng, seconds, band(60.0, 900.0)) * decay(seconds, 0.09)
    damper = np.clip((seconds - times) / 0.25, 0.0, 1.0)
    attack = np.clip(times / 0.003, 0.0, 1.0)
    return (total + 0.12 * hammer) * damper * attack
