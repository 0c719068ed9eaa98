"""Noise and filters: gain curves over frequency, fixed or moving in time, and convolution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from tools.demo_library.synthesis.timeline import SAMPLE_RATE, Samples, Values, n_samples, unit

Gain = Callable[[Values], Values]
"""Gain of a filter as a function of frequency [Hz]."""

Frames = Float64[npt.NDArray[np.float64], "frames bins"]

WINDOW = 1024
HOP = 256

FFT_STEP = 4096
"""Long transforms have a multiple of this size, which has small prime factors."""


def band(low_hz: float, high_hz: float | Values, *, order: float = 2.0) -> Gain:
    """Return a band-pass gain that falls by `6 * order` dB per octave outside of its corners."""

    def gain(hz: Values) -> Values:
        rising = 1 / np.sqrt(1 + (low_hz / np.maximum(hz, 1e-3)) ** (2 * order))
        falling = 1 / np.sqrt(1 + (hz / high_hz) ** (2 * order))
        return rising * falling

    return gain


def tilt(db_per_octave: float, *, from_hz: float = 100.0) -> Gain:
    """Return a gain that is 1 up to `from_hz` and then changes by a slope [dB per octave]."""
    return lambda hz: (np.maximum(hz, from_hz) / from_hz) ** (db_per_octave / 6.02)


def peak(centre_hz: float | Values, width_hz: float | Values) -> Gain:
    """Return the gain of a resonance: 1 at its centre, width between its -3 dB points [Hz]."""
    return lambda hz: 1 / np.sqrt(1 + (2 * (hz - centre_hz) / width_hz) ** 2)


def filtered(samples: Samples, gain: Gain) -> Samples:
    """Filter by circular convolution, without changing phases.

    Use it for noise only: an impulse would ring before it begins.
    """
    n = len(samples)
    hz = np.arange(n // 2 + 1, dtype=np.float64) * SAMPLE_RATE / n
    return np.fft.irfft(np.fft.rfft(samples) * gain(hz), n)


def noise(rng: np.random.Generator, seconds: float, gain: Gain | None = None) -> Samples:
    """Return Gaussian noise of RMS 1, white or of the spectrum of a gain curve."""
    white = rng.standard_normal(n_samples(seconds))
    return white if gain is None else unit(filtered(white, gain))


def moving_noise(
    rng: np.random.Generator, seconds: float, gains: Callable[[Values, Values], Frames]
) -> Samples:
    """Return noise whose spectrum moves.

    Args:
        rng: Source of the randomness.
        seconds: Duration [s].
        gains: Gain for frequencies [Hz], one row, and times [s], one column.
    """
    n = n_samples(seconds)
    n_frames = n // HOP + WINDOW // HOP + 1
    window = np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)
    white = rng.standard_normal(n_frames * HOP + WINDOW)
    starts = HOP * np.arange(n_frames)
    frames = white[starts[:, None] + np.arange(WINDOW)] * window
    hz = np.arange(WINDOW // 2 + 1, dtype=np.float64)[None, :] * SAMPLE_RATE / WINDOW
    times = (starts[:, None] - WINDOW / 2) / SAMPLE_RATE
    shaped = np.fft.irfft(np.fft.rfft(frames) * gains(hz, times), WINDOW) * window
    result = np.zeros(len(white))
    for k in range(WINDOW // HOP):
        part = shaped[:, k * HOP : (k + 1) * HOP].reshape(-1)
        result[k * HOP : k * HOP + len(part)] += part
    return result[WINDOW : WINDOW + n] * (2 * HOP / WINDOW)


def convolved(samples: Samples, response: Samples) -> Samples:
    """Return samples through an impulse response, cut to the length of the samples."""
    size = -(-(len(samples) + len(response)) // FFT_STEP) * FFT_STEP
    product = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(product, size)[: len(samples)]
