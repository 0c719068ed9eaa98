"""Spectrogram and waveform outline of a clip, for display only.

Rows are spaced evenly in octaves and levels evenly in decibels. Every sample of a clip of any
length contributes to some column, so that short events stay visible in a long clip. The log-mel
that the encoder uses is a part of its graph (`training.model.frontend`) and not computed here.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64, UInt8

ROWS = 96
LOWEST_HZ = 50.0
FLOOR_DB = -100.0
"""Level of the darkest value, relative to a sine of full scale; 0 dB is the brightest."""

_FRAME_SAMPLES = 1024
_FRAMES_AT_ONCE = 512


def column_edges(n_samples: int, columns: int) -> Int64[np.ndarray, " edges"]:
    """Return the first sample of each column of a picture, and the end of the last [columns + 1].

    A clip of fewer samples than columns gets one column for each sample.

    Args:
        n_samples: Length of the clip, at least 1.
        columns: Columns wanted, at least 1.
    """
    n_columns = min(columns, n_samples)
    return np.arange(n_columns + 1) * n_samples // n_columns


def outline(
    samples: Float32[np.ndarray, " samples"], columns: int
) -> tuple[Float32[np.ndarray, " columns"], Float32[np.ndarray, " columns"]]:
    """Return the lowest and the highest sample of each column.

    Args:
        samples: Mono waveform, at least one sample.
        columns: Columns wanted; see `column_edges`.
    """
    starts = column_edges(samples.size, columns)[:-1]
    return np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)


def draw(
    samples: Float32[np.ndarray, " samples"], *, sample_rate: int, columns: int
) -> UInt8[np.ndarray, "rows columns"]:
    """Draw a clip: time from left to right, frequency from the bottom up to half the sample rate.

    A value is the highest level in its column and row, from `FLOOR_DB` or less (0) to 0 dB or more
    (255), relative to a sine of full scale.

    Args:
        samples: Mono waveform, at least one sample.
        sample_rate: Its rate [Hz].
        columns: Columns wanted; see `column_edges`.
    """
    edges = column_edges(samples.size, columns)
    bins = _first_bins(sample_rate)
    highest = np.zeros((len(edges) - 1, ROWS), np.float32)
    centres, frame_columns = _frames(edges)
    padded = np.pad(samples, _FRAME_SAMPLES // 2)
    offsets = np.arange(_FRAME_SAMPLES)
    window = np.hanning(_FRAME_SAMPLES).astype(np.float32)
    for first in range(0, len(centres), _FRAMES_AT_ONCE):
        part = slice(first, first + _FRAMES_AT_ONCE)
        spectra = np.fft.rfft(padded[centres[part, None] + offsets] * window)
        magnitudes = np.abs(spectra).astype(np.float32)
        np.maximum.at(highest, frame_columns[part], np.maximum.reduceat(magnitudes, bins, axis=1))
    full_scale = window.sum() / 2
    levels_db = 20 * np.log10(np.maximum(highest / full_scale, 1e-9))
    shades = np.clip(np.round(255 * (1 - levels_db / FLOOR_DB)), 0, 255)
    return np.ascontiguousarray(shades.astype(np.uint8).T[::-1])


def _frames(
    edges: Int64[np.ndarray, " edges"],
) -> tuple[Int64[np.ndarray, " frames"], Int64[np.ndarray, " frames"]]:
    """Return the middle sample of every frame and the column that it belongs to.

    A column has a frame for each half frame of its width, and at least one.
    """
    widths = np.diff(edges)
    counts = 1 + (widths - 1) // (_FRAME_SAMPLES // 2)
    frame_columns = np.repeat(np.arange(len(widths)), counts)
    ranks = np.arange(len(frame_columns)) - np.repeat(np.cumsum(counts) - counts, counts)
    offsets = (2 * ranks + 1) * widths[frame_columns] // (2 * counts[frame_columns])
    return edges[:-1][frame_columns] + offsets, frame_columns


def _first_bins(sample_rate: int) -> Int64[np.ndarray, " rows"]:
    """Return the first FFT bin of every row, lowest row first; the last row ends at Nyquist."""
    top_hz = sample_rate / 2
    frequencies_hz = LOWEST_HZ * (top_hz / LOWEST_HZ) ** (np.arange(ROWS) / ROWS)
    return (frequencies_hz * _FRAME_SAMPLES / sample_rate).astype(np.int64)
