"""A detector of changes for a tiny bundle, of round numbers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from service.bundle.files import hash_file, load_bundle, write_manifest
from service.bundle.manifest import ChangeInfo
from service.retrieval.change_calibration import Calibration
from service.retrieval.change_detector import ChangeDetector
from service.retrieval.change_features import RISE_FEATURES, WINDOW_FEATURES, Discriminant
from service.retrieval.change_file import DetectorParts

FILE = "change.npz"
N_AXES = 3


def detector(dim: int, *, windows: bool = True) -> ChangeDetector:
    """Make a detector: scores grow with the distance, less with that between references.

    A direction scores higher if the difference is nearer to the mean of such changes.
    """
    identity = np.eye(N_AXES)
    discriminant = Discriminant(
        origin=np.zeros(dim, np.float32),
        axes=np.eye(dim, N_AXES, dtype=np.float32),
        unchanged=identity,
        added=identity / 4,
        shift=np.ones(N_AXES),
        scale=np.full(dim, 0.5, np.float32) if windows else None,
    )
    weights = np.array([[1.0, 1.0, -0.5, 0.0, -1.0], [1.0, 1.0, -0.5, -1.0, 0.5]])
    of_windows = np.insert(weights, 4, np.zeros((WINDOW_FEATURES, 1)), axis=1)
    of_windows[:, 4:-1] = np.repeat([0.1, -0.1], RISE_FEATURES)
    return ChangeDetector(
        DetectorParts(
            discriminant, _calibration(weights), _calibration(of_windows) if windows else None
        )
    )


def _calibration(weights: np.ndarray) -> Calibration:
    quantiles = np.linspace([-4.0, -3.0], [4.0, 5.0], 101, axis=1)
    return Calibration(
        counts=np.array([1, 3]),
        weights=np.stack([weights, weights]),
        thresholds=np.array([[3.6, 4.6], [3.7, 4.7]]),
        quantiles=np.stack([quantiles, quantiles]),
        margins=np.linspace([-8.0, -8.0], [0.4, 0.4], 101, axis=1),
        balances=np.array([1.0, 1.0]),
    )


def write_old(path: Path, dim: int) -> None:
    """Write a file of the first version: one direction, three features, no windows."""
    part = detector(dim).parts.discriminant
    np.savez_compressed(
        path,
        origin=part.origin,
        axes=part.axes,
        unchanged=part.unchanged,
        added=part.added,
        shift=part.shift,
        counts=np.array([1, 3]),
        weights=np.array([[1.0, 1.0, 0.0, -1.0], [1.0, 1.0, -1.0, 0.5]]),
        quantiles=np.linspace([-4.0, -3.0], [4.0, 5.0], 101, axis=1),
        thresholds=np.array([3.6, 4.6]),
        known_score=0.0,
    )


def copy_with_detector(bundle: Path, out: Path) -> Path:
    """Copy a bundle and put a detector into the copy."""
    shutil.copytree(bundle, out)
    opened = load_bundle(out)
    made = detector(opened.manifest.encoder.dim)
    with np.load(opened.file(opened.manifest.known_answer.file)) as known:
        score = made.score(known["embedding"], [opened.mean])
    made = ChangeDetector(replace(made.parts, known_score=score))
    made.write(out / FILE)
    info = ChangeInfo(
        file=FILE,
        false_alarm_rate=0.05,
        excerpt_s=5.0,
        commit="0" * 12,
        data=[],
        scores={},
    )
    files = opened.manifest.files | {FILE: hash_file(out / FILE)}
    write_manifest(out, opened.manifest.model_copy(update={"change": info, "files": files}))
    return out
