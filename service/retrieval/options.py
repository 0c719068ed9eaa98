"""Options of searches and differences, with their defaults and limits.

Imports nothing, so that the help of the shell can state the limits without loading the service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.catalog.filters import Filter

DEFAULT_K = 10
MAX_K = 1000
"""Largest number of hits that the setting `max_k` can allow."""
DEFAULT_PHRASES = 5
MAX_PHRASES = 50
MAX_REFERENCES = 32
DEFAULT_STRENGTH = 1.0
MAX_STRENGTH = 4.0
MAX_TEXT_CHARACTERS = 20_000
DEFAULT_HOP_S = 0.5
"""Time between two points of a curve [s]."""


@dataclass(frozen=True, slots=True)
class RankingOptions:
    """Selection and number of hits.

    Attributes:
        k: Most hits, 1..max_k; None for `DEFAULT_K` or max_k, whichever is less.
        filter: Condition on the metadata of a hit; None for all clips.
        reference_weight: Weight of the reference that is subtracted, 0..1; None for the bundle's.
        every_window: Whether every window of a long clip is a hit of its own, not its best alone.
    """

    k: int | None = None
    filter: Filter | None = None
    reference_weight: float | None = None
    every_window: bool = False


@dataclass(frozen=True, slots=True)
class DifferenceOptions:
    """Parts of a difference beside its hits.

    Attributes:
        n_phrases: Most phrases for it.
        hop_s: Time between two points of its curve [s]; None for no curve.
    """

    n_phrases: int = DEFAULT_PHRASES
    hop_s: float | None = None
