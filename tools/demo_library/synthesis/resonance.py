"""Modes of struck bodies, and harmonics of a pitch shaped by formants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tools.demo_library.synthesis.timeline import (
    DECAY_60_DB,
    SAMPLE_RATE,
    Samples,
    Values,
    n_samples,
    place,
    silence,
)

NYQUIST_HZ = SAMPLE_RATE / 2

BLOCK = 256
"""Samples of a mode that are computed by exponentials; the others are products of them."""

MASKED = 3e-4
"""A mode whose amplitude is below this share of the largest one is left out."""

INAUDIBLE = 1.3
"""A mode ends after this many of its decay times."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One mode of a struck body: frequency [Hz], time to fall by 60 dB [s], amplitude."""

    hz: float
    t60_s: float
    gain: float


def struck(modes: Sequence[Mode], seconds: float) -> Samples:
    """Return the ringing of modes that are all struck at time 0."""
    ringing = silence(seconds)
    loudest = max(abs(mode.gain) for mode in modes)
    for mode in modes:
        if mode.hz < NYQUIST_HZ and abs(mode.gain) > MASKED * loudest:
            place(ringing, _tone(mode, min(seconds, INAUDIBLE * mode.t60_s)), at_s=0.0)
    return ringing


def _tone(mode: Mode, seconds: float) -> Samples:
    """Return one decaying sine, as the imaginary part of powers of a complex number."""
    rate = complex(-DECAY_60_DB / mode.t60_s, 2 * np.pi * mode.hz) / SAMPLE_RATE
    n = n_samples(seconds)
    far = np.exp(rate * BLOCK * np.arange(n // BLOCK + 1, dtype=np.float64))
    near = mode.gain * np.exp(rate * np.arange(BLOCK, dtype=np.float64))
    tone: Samples = np.imag(far[:, None] * near[None, :]).reshape(-1)
    return tone[:n]


@dataclass(frozen=True, slots=True)
class Formant:
    """One resonance of a vocal tract: centre [Hz], fixed or per sample, width [Hz], gain."""

    hz: float | Samples
    width_hz: float
    gain: float = 1.0


def vowel(formants: Sequence[Formant]) -> Callable[[Values], Values]:
    """Return the gain over frequency [Hz] of formants side by side."""

    def gain(hz: Values) -> Values:
        total = np.full(np.shape(hz), 0.01)
        for formant in formants:
            total = total + formant.gain / (1 + (2 * (hz - formant.hz) / formant.width_hz) ** 2)
        return total

    return gain


def harmonics(
    pitch_hz: Samples,
    gain: Callable[[Values], Values],
    *,
    slope: float = 1.0,
    limit: int = 60,
) -> Samples:
    """Return a sum of harmonics of a pitch.

    Args:
        pitch_hz: Pitch of each sample [Hz].
        gain: Gain over frequency [Hz], applied to each harmonic where it is at each moment.
        slope: The source's k-th harmonic has amplitude `k ** -slope`.
        limit: At most so many harmonics.
    """
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE
    count = min(limit, int(0.98 * NYQUIST_HZ / pitch_hz.min()))
    total = np.zeros(len(pitch_hz))
    for k in range(1, count + 1):
        hz = k * pitch_hz
        total += np.where(hz < 0.98 * NYQUIST_HZ, gain(hz), 0.0) * k**-slope * np.sin(k * phase)
    return total
