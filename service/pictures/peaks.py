"""The outline of a waveform: its lowest and highest sample in each column of a picture."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64


def column_edges(n_samples: int, columns: int) -> Int64[np.ndarray, " edges"]:
    """Return where each column of a picture begins, and the end of the last [columns + 1].

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
    """Return the minimum and the maximum of every column; together they touch every sample.

    Args:
        samples: Mono waveform, at least one sample.
        columns: Columns wanted; see `column_edges`.
    """
    starts = column_edges(samples.size, columns)[:-1]
    return np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
