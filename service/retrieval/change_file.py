"""File of a change detector in a bundle: its arrays, their checks, and files of older versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from service.retrieval.change_calibration import Calibration
from service.retrieval.change_features import CLIP_FEATURES, WINDOW_FEATURES, Discriminant

_PREFIXES = {"clips": "", "windows": "windows_"}


@dataclass(frozen=True, slots=True)
class DetectorParts:
    """The parts of a change detector.

    Attributes:
        discriminant: Computes the features.
        clips: Computes scores and thresholds of whole clips.
        windows: The same where both sides have windows; None if windows are not compared.
        known_score: Score, as an addition, of the bundle's known answer as mixture and the mean
            embedding as reference.
    """

    discriminant: Discriminant
    clips: Calibration
    windows: Calibration | None = None
    known_score: float = 0.0


def read(path: Path, dim: int) -> DetectorParts:
    """Read a file.

    Args:
        path: An npz, of this version or an older one.
        dim: Length of an embedding.

    Raises:
        OSError: It cannot be read.
        KeyError: An array is missing.
        ValueError: It is no npz, or an array has the wrong shape or values.
    """
    with np.load(path, allow_pickle=False) as stored:
        arrays = upgrade(dict(stored))
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")
    names = [field.name for field in fields(Discriminant) if field.name != "scale"]
    has_windows = "windows_weights" in arrays
    parts = DetectorParts(
        Discriminant(
            **{name: arrays[name] for name in names},
            scale=arrays["scale"] if has_windows else None,
        ),
        _calibration(arrays, "clips"),
        _calibration(arrays, "windows") if has_windows else None,
        float(arrays["known_score"]),
    )
    if faults := _faults(parts, dim):
        raise ValueError("; ".join(faults))
    return parts


def write(path: Path, parts: DetectorParts) -> None:
    """Write the file that `read` reads."""
    arrays: dict[str, np.ndarray | None] = {
        field.name: getattr(parts.discriminant, field.name) for field in fields(Discriminant)
    }
    for mode, calibration in (("clips", parts.clips), ("windows", parts.windows)):
        if calibration is not None:
            arrays |= {
                _PREFIXES[mode] + field.name: getattr(calibration, field.name)
                for field in fields(Calibration)
            }
    arrays["known_score"] = np.array(parts.known_score)
    known = {name: array for name, array in arrays.items() if array is not None}
    np.savez_compressed(path, allow_pickle=False, **known)


def upgrade(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of a file in the present form.

    An older file has one direction and no windows. Its scores have no feature for removed sounds,
    and its quantiles are those of the only direction.
    """
    if "margins" in arrays:
        return dict(arrays)
    weights, thresholds = arrays["weights"], arrays["thresholds"]
    if weights.ndim != 2 or weights.shape[1] != CLIP_FEATURES:
        raise ValueError(f"weights is {list(weights.shape)}")
    return dict(arrays) | {
        "weights": np.insert(weights, 2, 0.0, axis=1)[np.newaxis],
        "thresholds": thresholds[np.newaxis],
        "quantiles": arrays["quantiles"][np.newaxis],
        "margins": arrays["quantiles"] - thresholds[:, np.newaxis],
        "balances": np.zeros(len(thresholds)),
    }


def _calibration(arrays: Mapping[str, np.ndarray], mode: str) -> Calibration:
    return Calibration(
        **{field.name: arrays[_PREFIXES[mode] + field.name] for field in fields(Calibration)}
    )


def _faults(parts: DetectorParts, dim: int) -> list[str]:
    part = parts.discriminant
    n_axes = part.shift.size
    expected = {
        "origin": (part.origin, (dim,)),
        "axes": (part.axes, (dim, n_axes)),
        "unchanged": (part.unchanged, (n_axes, n_axes)),
        "added": (part.added, (n_axes, n_axes)),
    }
    if part.scale is not None:
        expected["scale"] = (part.scale, (dim,))
    faults = _wrong_shapes(expected)
    faults += _calibration_faults(parts.clips, "clips", CLIP_FEATURES)
    if parts.windows is not None:
        n_features = CLIP_FEATURES + WINDOW_FEATURES
        faults += _calibration_faults(parts.windows, "windows", n_features)
    return faults


def _calibration_faults(calibration: Calibration, mode: str, n_features: int) -> list[str]:
    prefix, n_counts = _PREFIXES[mode], calibration.counts.size
    n_directions, n_shares = len(calibration.weights), calibration.margins.shape[-1]
    expected = {
        "weights": (calibration.weights, (n_directions, n_counts, n_features + 1)),
        "thresholds": (calibration.thresholds, (n_directions, n_counts)),
        "quantiles": (calibration.quantiles, (n_directions, n_counts, n_shares)),
        "margins": (calibration.margins, (n_counts, n_shares)),
        "balances": (calibration.balances, (n_counts,)),
    }
    faults = _wrong_shapes({prefix + name: pair for name, pair in expected.items()})
    if n_directions not in {1, 2}:
        faults.append(f"{prefix}weights has {n_directions} directions, must have 1 or 2")
    if not (n_counts and calibration.counts[0] == 1 and (np.diff(calibration.counts) > 0).all()):
        faults.append(f"{prefix}counts must ascend from 1")
    if any((np.diff(each, axis=-1) < 0).any() for each in (calibration.quantiles,)):
        faults.append(f"{prefix}quantiles must ascend")
    if (np.diff(calibration.margins, axis=-1) < 0).any():
        faults.append(f"{prefix}margins must ascend")
    return faults


def _wrong_shapes(expected: Mapping[str, tuple[np.ndarray, tuple[int, ...]]]) -> list[str]:
    return [
        f"{name} is {list(array.shape)}, must be {list(shape)}"
        for name, (array, shape) in expected.items()
        if array.shape != shape
    ]
