"""Features of a change between two sides, from embeddings along principal axes.

Two excerpts of one recording differ, and a change of level, a codec or a shift moves an embedding
too. Along the axes, d = f(mixture) - mean f(reference) has one covariance where nothing was added,
and another covariance and mean where something was. Windows are compared with the nearest window of
the other side; how far the windows of one sound lie apart tells how much the recording varies by
itself. Every feature is a logarithm. With the two sides exchanged they are in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from service.clips import Windows

CLIP_FEATURES = 4
WINDOW_FEATURES = 10
WINDOW_S, HOP_S = 1.0, 0.5
"""Length and step of the windows that are compared [s]."""
GAP = round(WINDOW_S / HOP_S)
"""Windows this many apart do not overlap."""

_SMALLEST = 1e-9
"""Keeps logarithms finite."""
_EXCHANGED_CLIP = (2, 1, 0, 3)
_EXCHANGED_WINDOWS = (3, 4, 5, 0, 1, 2, 8, 9, 6, 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discriminant:
    """Parameters of the features of a change.

    Attributes:
        origin: Mean of the embeddings of the fit [dim].
        axes: Their principal axes [dim axes].
        unchanged: Inverse covariance of differences where nothing was added [axes axes].
        added: Inverse covariance of differences where something was added [axes axes].
        shift: Mean of differences where something was added [axes].
        windows: Inverse covariance of differences of windows of unchanged sounds [axes axes]; None
            if windows are not compared.
    """

    origin: Float32[np.ndarray, " dim"]
    axes: Float32[np.ndarray, "dim axes"]
    unchanged: Float[np.ndarray, "axes axes"]
    added: Float[np.ndarray, "axes axes"]
    shift: Float[np.ndarray, " axes"]
    windows: Float[np.ndarray, "axes axes"] | None = None

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

    def whiten(
        self, windows: Float[np.ndarray, "*windows axes"]
    ) -> Float[np.ndarray, "*windows axes"]:
        """Return projected windows so that their squared distances are those of `windows`."""
        assert self.windows is not None
        whitened: np.ndarray = windows @ np.linalg.cholesky(self.windows)
        return whitened


def window_features(
    mixture: Float[np.ndarray, "*pairs windows axes"],
    references: Sequence[Float[np.ndarray, "*pairs others axes"]],
) -> Float[np.ndarray, "*pairs features"]:
    """Return the features of whitened windows.

    They are logarithms of squared distances: the largest, the mean and the least of the windows of
    the mixture from the nearest window of any reference; the same of each reference from the
    mixture; and the largest and the mean of the windows of each reference, and of the mixture, from
    the nearest window of the same sound that does not overlap. Those of references are averaged.

    Args:
        mixture: Windows of the mixture.
        references: Windows of each reference, at least one; they may differ in number.
    """
    distances = [_distances(mixture, reference) for reference in references]
    forward = np.min([each.min(axis=-1) for each in distances], axis=0)
    backward = np.mean([_three(each.min(axis=-2)) for each in distances], axis=0)
    known = np.mean([_own(reference) for reference in references], axis=0)
    return np.concatenate([_three(forward), backward, known, _own(mixture)], axis=-1)


def exchange(
    features: Float[np.ndarray, "*pairs features"],
) -> Float[np.ndarray, "*pairs features"]:
    """Return the features in the order in which a removed sound is what an added sound was."""
    order = list(_EXCHANGED_CLIP)
    if features.shape[-1] > CLIP_FEATURES:
        order += [CLIP_FEATURES + column for column in _EXCHANGED_WINDOWS]
    exchanged: np.ndarray = features[..., order]
    return exchanged


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


def _three(squares: Float[np.ndarray, "*pairs windows"]) -> Float[np.ndarray, "*pairs three"]:
    values = [squares.max(axis=-1), squares.mean(axis=-1), squares.min(axis=-1)]
    return np.log(np.stack(values, axis=-1) + _SMALLEST)


def _own(windows: Float[np.ndarray, "*pairs windows axes"]) -> Float[np.ndarray, "*pairs two"]:
    """Return the largest and the mean distance to the nearest window that does not overlap."""
    distances = _distances(windows, windows)
    places = np.arange(windows.shape[-2])
    distances[..., np.abs(places[:, np.newaxis] - places) < GAP] = np.inf
    nearest = distances.min(axis=-1)
    # A window in the middle of three overlaps both others.
    nearest = np.where(np.isfinite(nearest), nearest, np.nan)
    values = [np.nanmax(nearest, axis=-1), np.nanmean(nearest, axis=-1)]
    return np.log(np.stack(values, axis=-1) + _SMALLEST)


def _distances(
    windows: Float[np.ndarray, "*pairs windows axes"],
    others: Float[np.ndarray, "*pairs others axes"],
) -> Float[np.ndarray, "*pairs windows others"]:
    """Return the squared distance of every window from every other one."""
    squares = np.square(windows).sum(axis=-1)[..., :, np.newaxis]
    squares = squares + np.square(others).sum(axis=-1)[..., np.newaxis, :]
    products = windows @ np.swapaxes(others, -1, -2)
    return np.maximum(squares - 2.0 * products, 0.0)


def _squares(
    differences: Float[np.ndarray, "*rows axes"], inverse: Float[np.ndarray, "axes axes"]
) -> Float[np.ndarray, "*rows"]:
    squares: np.ndarray = ((differences @ inverse) * differences).sum(axis=-1)
    return squares
