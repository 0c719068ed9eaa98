"""Phrases that describe changes, in the common space of sounds and texts."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from jaxtyping import Float32
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import BundleError

_UNIT_TOLERANCE = 1e-3


class _Entry(BaseModel):
    """A phrase in the file; the vector is base64 of little-endian float32 [dim]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phrase: Annotated[str, Field(min_length=1)]
    label: Annotated[str, Field(min_length=1)]
    kind: Literal["event", "background", "sound"]
    vector: str
    reliability: Annotated[float, Field(ge=0, le=1)] | None = None


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    phrases: Annotated[list[_Entry], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class RankedPhrase:
    """A phrase that describes a change.

    Attributes:
        phrase: Text for people, such as "dog barking".
        label: Name for programs, such as "dog".
        score: Inner product of the unit vectors of the change and the phrase, -1 to 1.
        reliability: Share of the first hits of a search for the phrase that are right, as
            measured in training; None if the bundle does not tell.
    """

    phrase: str
    label: str
    score: float
    reliability: float | None = None


class TextBank:
    """Phrases and their vectors.

    Attributes:
        vectors: Unit vectors, float32 [phrases, dim].

    Args:
        phrases: Phrase, label and reliability of each.
        vectors: Unit vectors, float32 [phrases, dim].
    """

    def __init__(
        self,
        phrases: list[tuple[str, str, float | None]],
        vectors: Float32[np.ndarray, "phrases dim"],
    ) -> None:
        self._phrases = phrases
        self.vectors = vectors

    def __len__(self) -> int:
        return len(self._phrases)

    @classmethod
    def read(cls, path: Path, dim: int) -> Self:
        """Read a text bank.

        Args:
            path: A `text_bank.json`.
            dim: Required length of a vector.

        Raises:
            BundleError: The file is no text bank, or a vector has not `dim` values or not length 1.
        """
        try:
            entries = _File.model_validate_json(path.read_bytes()).phrases
            vectors = np.stack([_vector(entry, dim) for entry in entries])
        except (OSError, ValidationError, ValueError) as error:
            raise BundleError(f"{path} is no text bank: {error}") from error
        phrases = [(entry.phrase, entry.label, entry.reliability) for entry in entries]
        return cls(phrases, vectors)

    def rank(self, change: Float32[np.ndarray, " dim"], n: int) -> list[RankedPhrase]:
        """Return the phrases that describe a change best, the best first; none without a change.

        Args:
            change: Unit vector of the change; zero if there is none.
            n: Most phrases.
        """
        if not change.any():
            return []
        scores = self.vectors @ change
        best = np.argsort(-scores, kind="stable")[:n]
        return [
            RankedPhrase(phrase, label, float(score), reliability)
            for (phrase, label, reliability), score in ((self._phrases[i], scores[i]) for i in best)
        ]


def _vector(entry: _Entry, dim: int) -> Float32[np.ndarray, " dim"]:
    values = np.frombuffer(base64.b64decode(entry.vector, validate=True), "<f4")
    if values.size != dim:
        raise ValueError(f"the vector of {entry.phrase!r} has {values.size} values, not {dim}")
    if not abs(np.linalg.norm(values) - 1) <= _UNIT_TOLERANCE:
        raise ValueError(f"the vector of {entry.phrase!r} is not of length 1")
    return values.astype(np.float32)
