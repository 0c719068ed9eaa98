"""Birdsong and the caw of a crow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.demo_library.synthesis.resonance import Formant, harmonics, vowel
from tools.demo_library.synthesis.space import echoing
from tools.demo_library.synthesis.spectrum import noise
from tools.demo_library.synthesis.timeline import (
    SAMPLE_RATE,
    Samples,
    curve,
    instants,
    place,
    silence,
    unit,
    wander,
)

PHRASES = ((0.045, 0.012, 9, 16), (0.09, 0.05, 3, 6), (0.22, 0.07, 1, 3))
"""Trill, chirps and slurred whistles: syllable [s], gap [s], fewest syllables, and most, less 1."""


def whistle(seconds: float, start_hz: float, middle_hz: float, end_hz: float) -> Samples:
    """Return one whistled syllable that glides through three pitches [Hz]."""
    x = instants(seconds) / seconds
    pitch = (
        start_hz * (1 - x) * (1 - 2 * x) + 4 * middle_hz * x * (1 - x) + end_hz * x * (2 * x - 1)
    )
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    octave = np.sin(2 * phase)
    octave[pitch > 0.24 * SAMPLE_RATE] = 0.0
    return np.sin(np.pi * x) ** 0.8 * (np.sin(phase) + 0.05 * octave)


def song(
    rng: np.random.Generator, seconds: float, *, pitch_hz: float, pace: float, pause_s: float
) -> Samples:
    """Return a singing bird: phrases of repeated chirps, trills and slurred whistles.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        pitch_hz: Middle of its range [Hz].
        pace: How quickly it sings; 1 is a bird of the size of a finch.
        pause_s: Mean pause between phrases [s].
    """
    canvas = silence(seconds)
    at = 0.1
    while at < seconds - 0.3:
        hz = pitch_hz * 2 ** rng.uniform(-0.4, 0.4)
        turn, slide = 2 ** rng.uniform(-0.3, 0.5), 2 ** rng.uniform(-0.7, 0.35)
        length, gap, fewest, most = PHRASES[rng.integers(len(PHRASES))]
        length *= rng.uniform(0.8, 1.2) / pace
        gain = rng.uniform(0.55, 1.0)
        for _ in range(rng.integers(fewest, most)):
            if at + length > seconds - 0.05:
                break
            place(canvas, whistle(length, hz, hz * turn, hz * slide), at_s=at, gain=gain)
            at += length + gap / pace
        at += pause_s * rng.uniform(0.5, 1.5)
    return echoing(rng, canvas, t60_s=0.9, wet=0.15, bright_hz=6000.0)


def crow(
    rng: np.random.Generator, seconds: float, *, caws_s: Sequence[float], pitch_hz: float
) -> Samples:
    """Return a crow: a hoarse voice, rough and bright between 1 and 2 kHz.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        caws_s: When it caws [s].
        pitch_hz: Pitch of its voice [Hz].
    """
    canvas = silence(seconds)
    for at in caws_s:
        place(canvas, _caw(rng, pitch_hz * rng.uniform(0.96, 1.04)), at_s=at)
    return echoing(rng, canvas, t60_s=0.7, wet=0.07, bright_hz=3000.0)


def _caw(rng: np.random.Generator, pitch_hz: float) -> Samples:
    """Return one caw of about half a second."""
    seconds = rng.uniform(0.42, 0.52)
    t = seconds / 10
    pitch = curve(seconds, (0, 0.8), (1.5 * t, 1.08), (6 * t, 1.0), (10 * t, 0.78)) * pitch_hz
    pitch *= 1 + 0.03 * wander(rng, seconds, hz=300.0)
    formants = [
        Formant(1500.0 * curve(seconds, (0, 0.85), (2 * t, 1.05), (10 * t, 0.85)), 800.0, 1.0),
        Formant(2300.0, 800.0, 0.6),
        Formant(3400.0, 1100.0, 0.2),
        Formant(6000.0, 2500.0, 0.08),
    ]
    voiced = harmonics(pitch, vowel(formants), slope=0.3)
    fixed = [Formant(float(np.mean(f.hz)), 1.5 * f.width_hz, f.gain) for f in formants]
    hoarse = noise(rng, seconds, vowel(fixed))
    rattle = 1 + 0.6 * wander(rng, seconds, hz=130.0)
    loudness = curve(seconds, (0, 0), (0.7 * t, 0.8), (3 * t, 1), (7.5 * t, 0.7), (10 * t, 0))
    return (unit(voiced) * rattle + 0.45 * hoarse) * loudness
