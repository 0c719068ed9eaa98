"""Detection of an added sound, by a score with a measured rate of false alarms.

Two excerpts of one recording differ, and a change of level, a codec or a shift moves an embedding
too. Along the principal axes of the embeddings, d = f(mixture) - mean f(reference) has one
covariance where nothing was added, and another covariance and mean where something was. The score
weighs the distances of d from both, in which levels and codecs count little, and the distance of
the references from each other. It is compared with the scores of excerpts of recordings that were
not used in the fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Float32

from service.bundle.files import Bundle
from service.errors import BundleError

FEATURES = 3
TOLERANCE = 1e-3
"""Largest error of the known score; a score is a logarithm of odds, of the order of 1."""

_SMALLEST = 1e-9
"""Keeps logarithms finite."""


@dataclass(frozen=True, slots=True)
class ChangeDecision:
    """Decision whether something was added.

    Attributes:
        changed: Whether the score is over the threshold.
        score: Higher for a larger change.
        threshold: Quantile of the scores of unchanged pairs.
        false_alarm_rate: Share of unchanged pairs that scored at least as high, 0 to 1.
    """

    changed: bool
    score: float
    threshold: float
    false_alarm_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Discriminant:
    """Parameters of the features of a change.

    Attributes:
        origin: Mean of the embeddings of the fit [dim].
        axes: Their principal axes [dim axes].
        unchanged: Inverse covariance of differences where nothing was added [axes axes].
        added: Inverse covariance of differences where something was added [axes axes].
        shift: Mean of differences where something was added [axes].
    """

    origin: Float32[np.ndarray, " dim"]
    axes: Float32[np.ndarray, "dim axes"]
    unchanged: Float[np.ndarray, "axes axes"]
    added: Float[np.ndarray, "axes axes"]
    shift: Float[np.ndarray, " axes"]

    def project(
        self, embeddings: Float32[np.ndarray, "*rows dim"]
    ) -> Float[np.ndarray, "*rows axes"]:
        """Return embeddings along the axes."""
        projected: np.ndarray = ((embeddings - self.origin) @ self.axes).astype(np.float64)
        return projected

    def features(
        self,
        mixtures: Float[np.ndarray, "pairs axes"],
        references: Float[np.ndarray, "pairs references axes"],
    ) -> Float[np.ndarray, "pairs features"]:
        """Return the features of the score of each pair, from projected embeddings.

        They are logarithms: of the distance of the difference from no change over that from an
        added sound; of its distance from no change; and of the distance of one reference from the
        others, 0 for one reference.
        """
        centre = references.mean(axis=1)
        differences = mixtures - centre
        plain = _squares(differences, self.unchanged)
        added = _squares(differences - self.shift, self.added)
        between = np.zeros(len(mixtures))
        n_references = references.shape[1]
        if n_references > 1:
            left_out = (references - centre[:, np.newaxis]) * (n_references / (n_references - 1))
            between = np.log(_squares(left_out, self.unchanged).mean(axis=1) + _SMALLEST)
        distance = np.log(plain + _SMALLEST)
        return np.stack([distance - np.log(added + _SMALLEST), distance, between], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Weights and quantiles of the score, by number of references.

    Attributes:
        counts: Numbers of references, ascending, the first 1; other numbers take the row of the
            next smaller one [counts].
        weights: Weights of the features, and a constant [counts features+1].
        quantiles: Scores of unchanged pairs at evenly spaced shares from 0 to 1 [counts shares].
        thresholds: Scores at the stated rate of false alarms [counts].
        known_score: Score of the bundle's known answer as mixture and the mean embedding as
            reference.
    """

    counts: np.ndarray
    weights: Float[np.ndarray, "counts weights"]
    quantiles: Float[np.ndarray, "counts shares"]
    thresholds: Float[np.ndarray, " counts"]
    known_score: float

    def row(self, n_references: int) -> int:
        """Return the row for a number of references, at least one."""
        return int(np.searchsorted(self.counts, n_references, side="right")) - 1


class ChangeDetector:
    """Decides whether something was added to a mixture; safe to use from several threads.

    Args:
        discriminant: Computes the features.
        calibration: Computes the score and its threshold.
    """

    def __init__(self, discriminant: Discriminant, calibration: Calibration) -> None:
        self.discriminant = discriminant
        self.calibration = calibration

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
            with np.load(path, allow_pickle=False) as stored:
                arrays = dict(stored)
            detector = cls(
                Discriminant(**_part(Discriminant, arrays)),
                Calibration(**_part(Calibration, arrays)),
            )
        except (OSError, ValueError, KeyError) as error:
            raise BundleError(f"{path} holds no detector of changes: {error}") from error
        if faults := _faults(detector, bundle.manifest.encoder.dim):
            raise BundleError(f"{path}: {'; '.join(faults)}")
        return detector

    def write(self, path: Path) -> None:
        """Write the file that `open` reads."""
        arrays = {
            field.name: getattr(part, field.name)
            for part in (self.discriminant, self.calibration)
            for field in fields(part)
        }
        np.savez_compressed(path, **arrays)

    def score(
        self,
        mixture: Float32[np.ndarray, " dim"],
        references: Sequence[Float32[np.ndarray, " dim"]],
    ) -> float:
        """Return the score of a mixture against its references, at least one; all raw."""
        project = self.discriminant.project
        features = self.discriminant.features(
            project(mixture[np.newaxis]), project(np.stack(references))[np.newaxis]
        )
        *weights, constant = self.calibration.weights[self.calibration.row(len(references))]
        return float(features[0] @ weights + constant)

    def decide(
        self,
        mixture: Float32[np.ndarray, " dim"],
        references: Sequence[Float32[np.ndarray, " dim"]],
    ) -> ChangeDecision:
        """Decide whether something was added to a mixture; equal embeddings did not change."""
        row = self.calibration.row(len(references))
        score, threshold = self.score(mixture, references), self.calibration.thresholds[row]
        quantiles = self.calibration.quantiles[row]
        share = float(np.interp(score, quantiles, np.linspace(0.0, 1.0, len(quantiles))))
        is_equal = all(np.array_equal(mixture, reference) for reference in references)
        return ChangeDecision(
            changed=bool(score > threshold) and not is_equal,
            score=score,
            threshold=float(threshold),
            false_alarm_rate=1.0 if is_equal else 1.0 - share,
        )

    def check(self, bundle: Bundle) -> None:
        """Compare the score of the bundle's known answer with the known score.

        Raises:
            BundleError: The scores differ.
        """
        path = bundle.file(bundle.manifest.known_answer.file)
        with np.load(path, allow_pickle=False) as stored:
            found = self.score(stored["embedding"], [bundle.mean])
        expected = float(self.calibration.known_score)
        if not abs(found - expected) <= TOLERANCE:
            raise BundleError(
                f"the known answer scores {found:g} as a change, not {expected:g} as stored"
            )


def _squares(
    differences: Float[np.ndarray, "*rows axes"], inverse: Float[np.ndarray, "axes axes"]
) -> Float[np.ndarray, "*rows"]:
    squares: np.ndarray = ((differences @ inverse) * differences).sum(axis=-1)
    return squares


def _part(
    kind: type[Discriminant] | type[Calibration], arrays: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    values: dict[str, Any] = {field.name: arrays[field.name] for field in fields(kind)}
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{name} is not finite")
    return values


def _faults(detector: ChangeDetector, dim: int) -> list[str]:
    part, calibration = detector.discriminant, detector.calibration
    n_axes, n_counts = part.shift.size, calibration.counts.size
    expected = {
        "origin": (part.origin, (dim,)),
        "axes": (part.axes, (dim, n_axes)),
        "unchanged": (part.unchanged, (n_axes, n_axes)),
        "added": (part.added, (n_axes, n_axes)),
        "weights": (calibration.weights, (n_counts, FEATURES + 1)),
        "thresholds": (calibration.thresholds, (n_counts,)),
        "quantiles": (calibration.quantiles, (n_counts, calibration.quantiles.shape[-1])),
    }
    faults = [
        f"{name} is {list(array.shape)}, must be {list(shape)}"
        for name, (array, shape) in expected.items()
        if array.shape != shape
    ]
    if not (n_counts and calibration.counts[0] == 1 and (np.diff(calibration.counts) > 0).all()):
        faults.append("counts must ascend from 1")
    if (np.diff(calibration.quantiles, axis=-1) < 0).any():
        faults.append("quantiles must ascend")
    return faults
