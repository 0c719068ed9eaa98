"""Features of a change between two sides, from their embeddings and those of their windows.

Two excerpts of one recording differ, and a change of level, a codec or a shift moves an embedding
too. Along the principal axes of the embeddings, d = f(mixture) - mean f(reference) has one
covariance where nothing was added, and another covariance and mean where something was. Windows are
compared with the largest values of the other side: what is heard on one side alone exceeds them.
Every feature is a logarithm. With the two sides exchanged they are in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from service.clips import Windows

CLIP_FEATURES = 4
RISE_FEATURES = 7
WINDOW_FEATURES = 2 * RISE_FEATURES
WINDOW_S, HOP_S = 1.0, 0.5
"""Length and step of the windows that are compared [s]."""
GAP = round(WINDOW_S / HOP_S)
"""Windows this many apart do not overlap."""

_SMALLEST = 1e-9
"""Keeps logarithms finite."""
_EXCHANGED_CLIP = (2, 1, 0, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discriminant:
    """Parameters of the features of a change.

    Attributes:
        origin: Mean of the embeddings of the fit [dim].
        axes: Their principal axes [dim axes].
        unchanged: Inverse covariance of differences where nothing was added [axes axes].
        added: Inverse covariance of differences where something was added [axes axes].
        shift: Mean of differences where something was added [axes].
        scale: Standard deviation of each value of the embeddings [dim]; None if windows are not
            compared.
    """

    origin: Float32[np.ndarray, " dim"]
    axes: Float32[np.ndarray, "dim axes"]
    unchanged: Float[np.ndarray, "axes axes"]
    added: Float[np.ndarray, "axes axes"]
    shift: Float[np.ndarray, " axes"]
    scale: Float32[np.ndarray, " dim"] | None = None

    def project(
        self, embeddings: Float32[np.ndarray, "*rows dim"]
    ) -> Float[np.ndarray, "*rows axes"]:
        """Return embeddings along the axes."""
        projected: np.ndarray = ((embeddings - self.origin) @ self.axes).astype(np.float64)
        return projected

    def clip_features(
        self,
        mixtures: Float[np.ndarray, "pairs axes"],
        references: Float[np.ndarray, "pairs references axes"],
    ) -> Float[np.ndarray, "pairs features"]:
        """Return the features of whole clips, from projected embeddings.

        They are logarithms: of the distance of the difference from no change over that from an
        added sound; of its distance from no change; of the latter over its distance from a removed
        sound; and of the distance of one reference from the others, 0 for one reference.
        """
        centre = references.mean(axis=1)
        differences = mixtures - centre
        distance = np.log(_squares(differences, self.unchanged) + _SMALLEST)
        added = np.log(_squares(differences - self.shift, self.added) + _SMALLEST)
        removed = np.log(_squares(-differences - self.shift, self.added) + _SMALLEST)
        between = np.zeros(len(mixtures))
        n_references = references.shape[1]
        if n_references > 1:
            left_out = (references - centre[:, np.newaxis]) * (n_references / (n_references - 1))
            between = np.log(_squares(left_out, self.unchanged).mean(axis=1) + _SMALLEST)
        return np.stack([distance - added, distance, distance - removed, between], axis=1)

    def window_features(
        self,
        mixture: Float32[np.ndarray, "*pairs windows dim"],
        references: Sequence[Float32[np.ndarray, "*pairs others dim"]],
    ) -> Float[np.ndarray, "*pairs features"]:
        """Return the features of windows.

        First how far those of the mixture rise above the references, see `_rises`, then how far
        those of each reference rise above the mixture, averaged over the references.

        Args:
            mixture: Windows of the mixture, raw.
            references: Windows of each reference, at least one; they may differ in number.
        """
        assert self.scale is not None
        own = mixture / self.scale
        others = [reference / self.scale for reference in references]
        peaks = np.max([other.max(axis=-2) for other in others], axis=0)
        means = np.mean([other.mean(axis=-2) for other in others], axis=0)
        forward = _rises(own, peaks, means)
        peak, mean = own.max(axis=-2), own.mean(axis=-2)
        backward = np.mean([_rises(other, peak, mean) for other in others], axis=0)
        return np.concatenate([forward, backward], axis=-1)


def exchange(
    features: Float[np.ndarray, "*pairs features"],
) -> Float[np.ndarray, "*pairs features"]:
    """Return the features in the order in which a removed sound is what an added sound was."""
    clips, windows = np.split(features, [CLIP_FEATURES], axis=-1)
    exchanged = np.roll(windows, RISE_FEATURES, axis=-1)
    return np.concatenate([clips[..., _EXCHANGED_CLIP], exchanged], axis=-1)


def are_comparable(sounds: Sequence[Windows | None]) -> bool:
    """Tell whether windows are those that detectors are fitted to.

    All sounds have them, of `WINDOW_S` every `HOP_S`, enough of them for two that do not overlap,
    and no sound is more than twice as long as another.
    """
    known = [windows for windows in sounds if windows is not None]
    if len(known) < len(sounds) or any(len(each.starts_s) <= GAP for each in known):
        return False
    firsts = [(each.ends_s[0] - each.starts_s[0], each.starts_s[GAP]) for each in known]
    ends = [float(each.ends_s[-1]) for each in known]
    return bool(np.allclose(firsts, WINDOW_S, atol=1e-3)) and max(ends) <= 2.0 * min(ends)


def _rises(
    windows: Float32[np.ndarray, "*pairs windows dim"],
    peaks: Float32[np.ndarray, "*pairs dim"],
    means: Float32[np.ndarray, "*pairs dim"],
) -> Float[np.ndarray, "*pairs rises"]:
    """Return how far windows rise above the others, as logarithms.

    Of what exceeds the largest values of the others: the sum and the sum of squares over the
    dimensions, each as its largest value and its mean over the windows; the same two of the largest
    values of the windows; and the sum of what the means exceed.

    Args:
        windows: The windows, scaled.
        peaks: Largest value of each dimension in the windows of the others.
        means: Mean of each dimension in the windows of the others.
    """
    rises = np.maximum(windows - peaks[..., np.newaxis, :], 0.0)
    sums, squares = rises.sum(axis=-1), np.square(rises).sum(axis=-1)
    highest = rises.max(axis=-2)
    above = np.maximum(windows.mean(axis=-2) - means, 0.0)
    values = [
        *(sums.max(axis=-1), sums.mean(axis=-1), squares.max(axis=-1), squares.mean(axis=-1)),
        *(highest.sum(axis=-1), np.square(highest).sum(axis=-1), above.sum(axis=-1)),
    ]
    return np.log1p(np.stack(values, axis=-1).astype(np.float64))


def _squares(
    differences: Float[np.ndarray, "*rows axes"], inverse: Float[np.ndarray, "axes axes"]
) -> Float[np.ndarray, "*rows"]:
    squares: np.ndarray = ((differences @ inverse) * differences).sum(axis=-1)
    return squares
