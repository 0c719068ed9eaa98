"""A spectrogram to look at. What the encoder hears is inside its graph; this is for eyes only.

Rows are spaced evenly in octaves and levels evenly in decibels, as ears have it. Every sample of
a clip of any length falls into some slice, so that nothing short is lost in a long picture.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from service.pictures.peaks import column_edges

ROWS = 96
LOWEST_HZ = 50.0
FLOOR_DB = -100.0
"""Level of the darkest value, relative to a sine of full scale; 0 dB is the brightest."""

_SLICE_SAMPLES = 1024
_SLICES_AT_ONCE = 512


def draw(
    samples: Float32[np.ndarray, " samples"], *, sample_rate: int, columns: int
) -> UInt8[np.ndarray, "rows columns"]:
    """Draw a clip: time from left to right, frequency from the bottom up to half the sample rate.

    A value is the loudest level in its column and row, from `FLOOR_DB` or less (0) to 0 dB or more
    (255), relative to a sine of full scale.

    Args:
        samples: Mono waveform, at least one sample.
        sample_rate: Its rate [Hz].
        columns: Columns wanted; a clip has no more than samples.
    """
    edges = column_edges(samples.size, columns)
    bins = _row_bins(sample_rate)
    loudest = np.zeros((len(edges) - 1, ROWS), np.float32)
    centres, owners = _slices(edges)
    padded = np.pad(samples, _SLICE_SAMPLES // 2)
    offsets = np.arange(_SLICE_SAMPLES)
    taper = np.hanning(_SLICE_SAMPLES).astype(np.float32)
    for first in range(0, len(centres), _SLICES_AT_ONCE):
        part = slice(first, first + _SLICES_AT_ONCE)
        spectra = np.fft.rfft(padded[centres[part, None] + offsets] * taper)
        magnitudes = np.abs(spectra).astype(np.float32)
        np.maximum.at(loudest, owners[part], np.maximum.reduceat(magnitudes, bins, axis=1))
    full_scale = taper.sum() / 2
    levels_db = 20 * np.log10(np.maximum(loudest / full_scale, 1e-9))
    shades = np.clip(np.round(255 * (1 - levels_db / FLOOR_DB)), 0, 255)
    return np.ascontiguousarray(shades.astype(np.uint8).T[::-1])


def _slices(
    edges: Int64[np.ndarray, " edges"],
) -> tuple[Int64[np.ndarray, " slices"], Int64[np.ndarray, " slices"]]:
    """Return the middle of every slice and the column that it belongs to.

    A column has one slice for every half slice's length of it, and at least one.
    """
    widths = np.diff(edges)
    counts = 1 + (widths - 1) // (_SLICE_SAMPLES // 2)
    owners = np.repeat(np.arange(len(widths)), counts)
    ranks = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    centres = edges[:-1][owners] + (2 * ranks + 1) * widths[owners] // (2 * counts[owners])
    return centres, owners


def _row_bins(sample_rate: int) -> Int64[np.ndarray, " rows"]:
    """Return the first bin of every row, the lowest row first; the last goes to the end."""
    top_hz = sample_rate / 2
    frequencies_hz = LOWEST_HZ * (top_hz / LOWEST_HZ) ** (np.arange(ROWS) / ROWS)
    return (frequencies_hz * _SLICE_SAMPLES / sample_rate).astype(np.int64)
