"""Put a calibrated detector of changes into a bundle."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from service.bundle.files import Bundle, load_bundle, write_manifest
from service.bundle.manifest import ChangeInfo
from service.concurrency.durable import staged_folder
from service.retrieval.change_detector import ChangeDetector
from training.change_detection.calibrate import FALSE_ALARM_RATE, fit
from training.change_detection.dataset import REFERENCE_COUNTS, DetectionDataset
from training.change_detection.excerpts import EXCERPT_SAMPLES
from training.data.attribution import describe_data, write_attribution
from training.data.manifest import SourceClip, read_table
from training.errors import DatasetError
from training.export.export import with_files
from training.export.provenance import git_commit
from training.model.frontend import SAMPLE_RATE
from training.reports.cards import put_change

FILE = "change.npz"
ATTRIBUTION = "ATTRIBUTION.csv"
ROLE = "calibration"  # of a clip that no other part of the bundle was trained on


def calibrate(folder: Path, dataset: DetectionDataset) -> Path:
    """Fit a detector to the permissive excerpts of a data set and put it into a bundle.

    It replaces an earlier detector. The bundle is replaced when everything is done.

    Args:
        folder: The bundle whose encoder embedded the excerpts.
        dataset: The excerpts.

    Returns:
        The folder.

    Raises:
        BundleError: The folder holds no valid bundle.
        DatasetError: There are not enough permissive excerpts.
    """
    bundle = load_bundle(folder)
    chosen = dataset.is_permissive
    if not chosen.any():
        raise DatasetError("none of the recordings may be shipped: permissive must be 1")
    detector = _with_known_score(fit(dataset, chosen), bundle)
    with staged_folder(folder, replace=True) as path:
        shutil.copytree(folder, path, dirs_exist_ok=True)
        _put_detector(Bundle(path, bundle.manifest), detector, dataset, chosen)
    return folder


def _put_detector(
    staged: Bundle,
    detector: ChangeDetector,
    dataset: DetectionDataset,
    chosen: Bool[np.ndarray, " excerpts"],
) -> None:
    """Write the detector, its attribution and its part of the card; then check the bundle."""
    detector.write(staged.file(FILE))
    store = dataset.clips.store
    excerpts = list(compress(dataset.excerpts, chosen))
    rows = {row for it in excerpts for row in (it.recording, it.event) if row is not None}
    clips = [store.clips[row] for row in sorted(rows)]
    attribution = staged.file(ATTRIBUTION)
    write_attribution(attribution, {ROLE: _not_named(clips, attribution)}, attribution)
    scores: dict[str, float | int | str] = {
        f"pairs_{n}": int(chosen[dataset.trials(n).mixtures].sum()) for n in REFERENCE_COUNTS
    }
    info = ChangeInfo(
        file=FILE,
        false_alarm_rate=FALSE_ALARM_RATE,
        excerpt_s=EXCERPT_SAMPLES / SAMPLE_RATE,
        commit=git_commit(),
        data=describe_data(store.select(row in rows for row in range(len(store.clips)))),
        scores=scores | {"recordings": len({it.recording for it in excerpts})},
    )
    put_change(staged.path, info)
    manifest = staged.manifest.model_copy(update={"change": info})
    write_manifest(staged.path, with_files(staged.path, manifest))
    finished = load_bundle(staged.path)
    opened = ChangeDetector.open(finished)
    assert opened is not None
    opened.check(finished)


def _with_known_score(detector: ChangeDetector, bundle: Bundle) -> ChangeDetector:
    with np.load(bundle.file(bundle.manifest.known_answer.file)) as known:
        known_score = detector.score(known["embedding"], [bundle.mean])
    return ChangeDetector(replace(detector.parts, known_score=known_score))


def _not_named(clips: Sequence[SourceClip], attribution: Path) -> list[SourceClip]:
    """Select the clips that are not in the attribution yet."""
    if not attribution.is_file():
        return list(clips)
    named = {row["path"] for row in read_table(attribution)}
    return [clip for clip in clips if clip.name not in named]
