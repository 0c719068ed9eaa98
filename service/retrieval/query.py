"""One query from several terms, and what each of them is to a hit.

A query is l2(audio + strength * text), an item l2(audio), and a score their inner product (paper,
section 5.3), which is linear in the terms: their shares add up to the score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from service.difference import l2_normalize

MAX_STRENGTH = 4.0
DEFAULT_STRENGTH = 1.0
MAX_TEXT_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Modifier:
    """Text that changes a query, or is one.

    Attributes:
        text: What to find, or how it differs from the sound that is given.
        strength: Weight of the text, 0 (as if there were none) to `MAX_STRENGTH`.
    """

    text: str
    strength: float = DEFAULT_STRENGTH


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about an answer that its reader should know; no error.

    Attributes:
        code: Stable, for programs.
        detail: For people.
    """

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Query:
    """What to search with.

    Attributes:
        vector: Of length 1, or zero where the terms cancel; float32 [dim].
        terms: The vectors it is the sum of, by name; float32 [dim].
    """

    vector: Float32[np.ndarray, " dim"]
    terms: Mapping[str, Float32[np.ndarray, " dim"]]


def compose(terms: Mapping[str, Float32[np.ndarray, " dim"]]) -> Query:
    """Add terms up and bring their sum to length 1.

    Args:
        terms: At least one vector, by name, with its weight in it.
    """
    total = np.stack(list(terms.values())).sum(axis=0)
    norm = np.linalg.norm(total)
    if norm == 0:
        return Query(np.zeros_like(total), {name: np.zeros_like(total) for name in terms})
    return Query(l2_normalize(total), {name: term / norm for name, term in terms.items()})
