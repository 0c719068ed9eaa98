"""A sound of a request as embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from service.clips import Windows


@dataclass(frozen=True, slots=True)
class EmbeddedInput:
    """The embedding of a sound.

    Attributes:
        embedding: Raw embedding [dim].
        mean_square: Mean square of its samples; None if it was not decoded.
        windows: Embeddings of its windows, if they were asked for.
    """

    embedding: Float32[np.ndarray, " dim"]
    mean_square: float | None = None
    windows: Windows | None = None
