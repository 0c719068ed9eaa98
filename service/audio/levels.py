"""How loud a clip is, measured block by block as it is decoded."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

PIECE = 1024
"""Samples whose squares are summed in float32; over hours such a sum would lose what is quiet."""


class LevelMeter:
    """Measures the mean square of a clip that comes in blocks; nothing of it is held."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._n_samples = 0

    def add(self, block: Float32[np.ndarray, " samples"]) -> None:
        """Add the next block."""
        whole = block.size - block.size % PIECE
        pieces = block[:whole].reshape(-1, PIECE)
        self._sum += float(np.einsum("ps,ps->p", pieces, pieces).sum(dtype=np.float64))
        self._sum += float(np.einsum("s,s->", block[whole:], block[whole:]))
        self._n_samples += block.size

    @property
    def mean_square(self) -> float:
        """The mean square so far; 0 before the first sample."""
        return self._sum / max(self._n_samples, 1)


def level_difference_db(mixture: float, references: Sequence[float]) -> float | None:
    """Return how much louder a mixture is than its references, by their RMS levels [dB].

    Args:
        mixture: Mean square of the mixture.
        references: Mean squares of the references, at least one; their power is averaged.

    Returns:
        None where one of the two is digital silence, whose level is no number.
    """
    reference = math.fsum(references) / len(references)
    if mixture == reference:
        return 0.0
    if mixture == 0 or reference == 0:
        return None
    return 10.0 * math.log10(mixture / reference)
