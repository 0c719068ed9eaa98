"""Detection of added and removed sounds, by scores with a measured rate of false alarms.

Each direction has a score, a weighted sum of the features of `change_features`. The scores are
compared with those of excerpts of recordings that were not used in the fit: the thresholds are such
that unchanged pairs pass either of them at the stated rate. Sounds without windows, such as given
embeddings, are compared as whole clips, with scores and thresholds of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, Float32

from service.bundle.files import Bundle
from service.clips import Windows
from service.errors import BundleError
from service.retrieval import change_file
from service.retrieval.change_calibration import ChangeDecision
from service.retrieval.change_features import are_comparable
from service.retrieval.change_file import DetectorParts

TOLERANCE = 1e-3
"""Largest error of the known score; a score is a logarithm of odds, of the order of 1."""


class ChangeDetector:
    """Decides what was added to and removed from a mixture; safe to use from several threads.

    Args:
        parts: Features, weights and thresholds.

    Attributes:
        parts: The same.
    """

    def __init__(self, parts: DetectorParts) -> None:
        self.parts = parts

    @classmethod
    def open(cls, bundle: Bundle) -> Self | None:
        """Read the detector of a bundle; None if it has none.

        Raises:
            BundleError: Its file cannot be read, or an array is missing or has the wrong shape.
        """
        info = bundle.manifest.change
        if info is None:
            return None
        path = bundle.file(info.file)
        try:
            return cls(change_file.read(path, bundle.manifest.encoder.dim))
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise BundleError(f"{path} holds no detector of changes: {error}") from error

    def write(self, path: Path) -> None:
        """Write the file that `open` reads."""
        change_file.write(path, self.parts)

    def score(
        self,
        mixture: Float32[np.ndarray, " dim"],
        references: Sequence[Float32[np.ndarray, " dim"]],
    ) -> float:
        """Return the score, as an addition, of whole clips; at least one reference; all raw."""
        scores = self.parts.clips.scores(self._clip_features(mixture, references), len(references))
        return float(scores[0])

    def decide(
        self,
        mixture: Float32[np.ndarray, " dim"],
        references: Sequence[Float32[np.ndarray, " dim"]],
        windows: Sequence[Windows | None] = (),
    ) -> ChangeDecision:
        """Decide what was added to a mixture and removed from it; equal sounds did not change.

        Args:
            mixture: Raw embedding.
            references: Raw embeddings, at least one.
            windows: Windows of the mixture and of each reference. They are used if they are like
                those of the calibration and the sounds of similar length.
        """
        features, calibration = self._clip_features(mixture, references), self.parts.clips
        if self.parts.windows is not None and windows and are_comparable(windows):
            own, *others = [each.embeddings for each in windows if each is not None]
            found = self.parts.discriminant.window_features(own, others)
            features, calibration = np.append(features, found), self.parts.windows
        is_equal = all(np.array_equal(mixture, reference) for reference in references)
        scores = calibration.scores(features, len(references))
        return calibration.decide(scores, len(references), is_equal=is_equal)

    def check(self, bundle: Bundle) -> None:
        """Compare the score of the bundle's known answer with the known score.

        Raises:
            BundleError: The scores differ.
        """
        path = bundle.file(bundle.manifest.known_answer.file)
        with np.load(path, allow_pickle=False) as stored:
            found = self.score(stored["embedding"], [bundle.mean])
        if not abs(found - self.parts.known_score) <= TOLERANCE:
            raise BundleError(
                f"the known answer scores {found:g} as a change,"
                f" not {self.parts.known_score:g} as stored"
            )

    def _clip_features(
        self,
        mixture: Float32[np.ndarray, " dim"],
        references: Sequence[Float32[np.ndarray, " dim"]],
    ) -> Float[np.ndarray, " features"]:
        project = self.parts.discriminant.project
        found: np.ndarray = self.parts.discriminant.clip_features(
            project(mixture[np.newaxis]), project(np.stack(references))[np.newaxis]
        )[0]
        return found
