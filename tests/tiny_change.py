"""A detector of changes for a tiny bundle, of round numbers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from service.bundle.files import hash_file, load_bundle, write_manifest
from service.bundle.manifest import ChangeInfo
from service.retrieval.change_detector import Calibration, ChangeDetector, Discriminant

FILE = "change.npz"
N_AXES = 3


def detector(dim: int) -> ChangeDetector:
    """Make a detector: scores grow with the distance, less with that between references."""
    identity = np.eye(N_AXES)
    return ChangeDetector(
        Discriminant(
            origin=np.zeros(dim, np.float32),
            axes=np.eye(dim, N_AXES, dtype=np.float32),
            unchanged=identity,
            added=identity / 4,
            shift=np.ones(N_AXES),
        ),
        Calibration(
            counts=np.array([1, 3]),
            weights=np.array([[1.0, 1.0, 0.0, -1.0], [1.0, 1.0, -1.0, 0.5]]),
            quantiles=np.linspace([-4.0, -3.0], [4.0, 5.0], 101, axis=1),
            thresholds=np.array([3.6, 4.6]),
            known_score=0.0,
        ),
    )


def copy_with_detector(bundle: Path, out: Path) -> Path:
    """Copy a bundle and put a detector into the copy."""
    shutil.copytree(bundle, out)
    opened = load_bundle(out)
    made = detector(opened.manifest.encoder.dim)
    with np.load(opened.file(opened.manifest.known_answer.file)) as known:
        score = made.score(known["embedding"], [opened.mean])
    made = ChangeDetector(made.discriminant, replace(made.calibration, known_score=score))
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
