"""Voices of a dog and a cat: harmonics of a gliding pitch through moving formants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.demo_library.synthesis.resonance import Formant, harmonics, vowel
from tools.demo_library.synthesis.space import echoing
from tools.demo_library.synthesis.spectrum import filtered, noise
from tools.demo_library.synthesis.timeline import (
    Samples,
    curve,
    instants,
    place,
    silence,
    unit,
    wander,
)


def dog(
    rng: np.random.Generator,
    seconds: float,
    *,
    barks_s: Sequence[float],
    pitch_hz: float,
    tract: float,
) -> Samples:
    """Return a barking dog.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        barks_s: When it barks [s].
        pitch_hz: Mean pitch of a bark [Hz].
        tract: Length of the vocal tract over that of a dog of middle size; larger is deeper.
    """
    canvas = silence(seconds)
    for at in barks_s:
        strength = rng.uniform(0.75, 1.0)
        place(canvas, _bark(rng, pitch_hz * rng.uniform(0.94, 1.06), tract), at_s=at, gain=strength)
    return echoing(rng, canvas, t60_s=0.4, wet=0.05, bright_hz=3500.0)


def _bark(rng: np.random.Generator, pitch_hz: float, tract: float) -> Samples:
    """Return one bark: the mouth snaps open and shuts again while the pitch jumps and drops."""
    seconds = 0.17 * tract**0.5 * rng.uniform(0.9, 1.15)
    t = seconds / 10
    pitch = curve(seconds, (0, 0.7), (3 * t, 1.25), (5 * t, 1.2), (10 * t, 0.55)) * pitch_hz
    pitch *= 1 + 0.025 * wander(rng, seconds, hz=250.0)
    opening = curve(seconds, (0, 0.55), (2.5 * t, 1.0), (6 * t, 0.9), (10 * t, 0.5)) / tract
    formants = [
        Formant(900 * opening, 350 / tract, 1.0),
        Formant(1500 * opening**0.6, 500 / tract, 0.6),
        Formant(2600 / tract, 700 / tract, 0.18),
        Formant(4300 / tract, 1800 / tract, 0.05),
    ]
    voiced = harmonics(pitch, vowel(formants), slope=0.6)
    growl = 0.35 * harmonics(pitch / 2, vowel(formants), slope=0.6)
    fixed = [Formant(float(np.mean(f.hz)), 2 * f.width_hz, f.gain) for f in formants]
    breath = noise(rng, seconds, vowel(fixed))
    loudness = (
        curve(seconds, (0, 0), (0.6 * t, 0.6), (2.5 * t, 1), (6 * t, 0.6), (10 * t, 0)) ** 1.5
    )
    tone = voiced + growl
    return (unit(tone) * (1 + 0.3 * breath) + 0.25 * breath) * loudness


def cat(
    rng: np.random.Generator,
    seconds: float,
    *,
    meows: Sequence[tuple[float, float]],
    pitch_hz: float,
) -> Samples:
    """Return a mewing cat.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        meows: When it mews and how long [s].
        pitch_hz: Pitch at the height of a meow [Hz].
    """
    canvas = silence(seconds)
    for at, length in meows:
        place(canvas, _meow(rng, length, pitch_hz * rng.uniform(0.96, 1.04)), at_s=at)
    return echoing(rng, canvas, t60_s=0.35, wet=0.06)


def _meow(rng: np.random.Generator, seconds: float, pitch_hz: float) -> Samples:
    """Return one meow: closed m, bright ee to ah, and a round ow as the mouth closes."""
    t = seconds / 10
    pitch = curve(seconds, (0, 0.72), (2 * t, 0.95), (4 * t, 1.0), (7 * t, 0.9), (10 * t, 0.62))
    pitch *= pitch_hz * (1 + 0.006 * wander(rng, seconds, hz=40.0))
    pitch *= 1 + 0.012 * np.sin(2 * np.pi * 7.0 * instants(seconds))
    first = curve(seconds, (0, 500), (1.5 * t, 800), (4 * t, 1450), (7 * t, 1250), (10 * t, 800))
    second = curve(
        seconds, (0, 1400), (1.5 * t, 3000), (4 * t, 2600), (7 * t, 1900), (10 * t, 1100)
    )
    formants = [
        Formant(first, 350.0, 1.0),
        Formant(second, 450.0, 0.7),
        Formant(4300.0, 1000.0, 0.3),
        Formant(6300.0, 1500.0, 0.15),
    ]
    open_mouth = curve(
        seconds, (0, 0), (0.5 * t, 0.25), (1.5 * t, 0.4), (3.5 * t, 1), (7 * t, 0.8), (10 * t, 0)
    )
    voiced = harmonics(pitch, vowel(formants), slope=0.7)
    breath = filtered(
        noise(rng, seconds), vowel([Formant(2400.0, 2500.0), Formant(5500.0, 3000.0)])
    )
    return (unit(voiced) + 0.05 * unit(breath)) * open_mouth**1.3
