"""Detection of texts that name no sound the towers know (novelty detection).

A logistic regression on the embedding of a text by the text encoder: its direction, its cosines to
the nearest known phrases, and how the tokeniser splits it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float32, Int8

from service.errors import BundleError
from service.inference.tokenizer import Tokens

NEAREST = 5
"""Known phrases whose mean cosine is a feature."""
SHOWN = 3
"""Known phrases that are named for an unknown text."""
SMALLEST_NORM = 1e-9
"""Lower bound of a length that is divided by."""
N_STATISTICS = 5
"""Features beside the direction of the embedding."""


@dataclass(frozen=True, slots=True)
class Novelty:
    """Assessment of a text: does it name something that the towers know?

    Attributes:
        is_unknown: Whether it does not.
        probability: Probability that it does not, 0 to 1, where known and unknown texts are as
            frequent as in the training of the detector.
        nearest: The nearest known phrases, the nearest first.
    """

    is_unknown: bool
    probability: float
    nearest: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class NoveltyDetector:
    """Known phrases, and a logistic regression.

    Attributes:
        phrases: The known phrases.
        levels: Their embeddings by the text encoder, each scaled to its largest level, int8.
        weights: Weight of each feature of `features`.
        bias: Constant of the regression.
        threshold: Probability above which a text counts as unknown.
    """

    phrases: tuple[str, ...]
    levels: Int8[np.ndarray, "phrases hidden"]
    weights: Float32[np.ndarray, " features"]
    bias: float
    threshold: float

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a detector.

        Raises:
            BundleError: The file is no detector.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                detector = cls(
                    phrases=tuple(stored["phrases"].tolist()),
                    levels=stored["levels"].astype(np.int8, casting="safe"),
                    weights=stored["weights"].astype(np.float32, casting="same_kind"),
                    bias=float(stored["bias"]),
                    threshold=float(stored["threshold"]),
                )
            n, hidden = detector.levels.shape
            if n != len(detector.phrases) or n < NEAREST:
                raise ValueError(f"{n} embeddings of {len(detector.phrases)} phrases")
            if detector.weights.shape != (hidden + N_STATISTICS,):
                raise ValueError(f"weights of shape {detector.weights.shape}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path} is no detector of unknown texts: {error}") from error
        return detector

    def write(self, path: Path) -> None:
        """Write the detector, as `read` expects it."""
        np.savez_compressed(
            path,
            phrases=np.array(self.phrases),
            levels=self.levels,
            weights=self.weights,
            bias=np.float64(self.bias),
            threshold=np.float64(self.threshold),
        )

    def assess(
        self, text: str, tokens: Tokens, embedding: Float32[np.ndarray, " hidden"]
    ) -> Novelty:
        """Tell whether a text is known.

        Args:
            text: The text.
            tokens: Its tokens; not empty.
            embedding: Its embedding by the text encoder.
        """
        cosines = self.cosines(embedding)
        logit = float(features(text, tokens, embedding, cosines) @ self.weights) + self.bias
        probability = float(1 / (1 + np.exp(-np.clip(logit, -50, 50))))
        nearest = np.argsort(-cosines, kind="stable")[:SHOWN]
        return Novelty(
            probability > self.threshold, probability, tuple(self.phrases[row] for row in nearest)
        )

    def cosines(self, embedding: Float32[np.ndarray, " hidden"]) -> Float32[np.ndarray, " phrases"]:
        """Return the cosine of an embedding with each known phrase."""
        cosines: np.ndarray = self._directions @ embedding
        return cosines / max(float(np.linalg.norm(embedding)), SMALLEST_NORM)

    @cached_property
    def _directions(self) -> Float32[np.ndarray, "phrases hidden"]:
        """Unit vectors of the known phrases; computed once, since every new text needs them."""
        levels = self.levels.astype(np.float32)
        norms = np.linalg.norm(levels, axis=1, keepdims=True)
        directions: np.ndarray = levels / np.maximum(norms, np.float32(SMALLEST_NORM))
        return directions


def round_embeddings(
    embeddings: Float32[np.ndarray, "phrases hidden"],
) -> Int8[np.ndarray, "phrases hidden"]:
    """Round the embeddings of known phrases to int8; only their directions are kept."""
    largest = np.abs(embeddings).max(axis=1, keepdims=True)
    levels: np.ndarray = np.rint(127 * embeddings / largest).astype(np.int8)
    return levels


def features(
    text: str,
    tokens: Tokens,
    embedding: Float32[np.ndarray, " hidden"],
    cosines: Float32[np.ndarray, " phrases"],
) -> Float32[np.ndarray, " features"]:
    """Return the features of a text: the direction of its embedding, and `N_STATISTICS` numbers.

    Args:
        text: The text.
        tokens: Its tokens.
        embedding: Its embedding.
        cosines: Its cosines with the known phrases, at least `NEAREST`.
    """
    n_words = int(tokens.words.max(initial=0)) + 1
    nearest = np.partition(cosines, -NEAREST)[-NEAREST:]
    letters = [character for character in text if character.isalpha()]
    statistics = (
        float(nearest.max()),
        float(nearest.mean()),
        float((tokens.words >= 0).sum()) / n_words,  # pieces of a word
        tokens.n_unknown / n_words,
        sum(not letter.isascii() for letter in letters) / max(len(letters), 1),
    )
    direction = embedding / np.linalg.norm(embedding)
    return np.concatenate([direction, np.array(statistics)]).astype(np.float32)
