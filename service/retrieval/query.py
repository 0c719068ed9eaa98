"""Composition of a query from terms, and the share of each term in a score.

A query is l2(audio + strength * text), an indexed vector is l2(audio), and a score is their inner
product (paper, section 5.3). It is linear in the terms, so their shares add up to the score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from service.retrieval.options import DEFAULT_STRENGTH


@dataclass(frozen=True, slots=True)
class Modifier:
    """Text that is added to a query, or is the whole query.

    Attributes:
        text: What to find, or how it differs from the given sound.
        strength: Weight of the text, 0 (no text) to `MAX_STRENGTH`.
    """

    text: str
    strength: float = DEFAULT_STRENGTH


@dataclass(frozen=True, slots=True)
class Notice:
    """A remark about a response that is not an error.

    Attributes:
        code: Stable, for programs.
        detail: For people.
    """

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Query:
    """A vector to search with.

    Attributes:
        vector: The sum of the terms at length 1, or zero where they cancel; float32 [dim].
        terms: The terms on the same scale, by name; float32 [dim].
    """

    vector: Float32[np.ndarray, " dim"]
    terms: Mapping[str, Float32[np.ndarray, " dim"]]


def compose(terms: Mapping[str, Float32[np.ndarray, " dim"]]) -> Query:
    """Add terms and scale them so that their sum has length 1.

    Args:
        terms: At least one weighted vector, by name.
    """
    total = np.stack(list(terms.values())).sum(axis=0)
    norm = np.linalg.norm(total)
    scale = np.float32(1 / norm if norm > 0 else 0)
    return Query(scale * total, {name: scale * term for name, term in terms.items()})
