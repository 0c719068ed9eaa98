"""Puts a calibrated detector of changes into a bundle."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from service.bundle.files import Bundle, load_bundle, write_manifest
from service.bundle.manifest import ChangeInfo
from service.retrieval.change_detector import ChangeDetector
from training.change_detection.calibrate import FALSE_ALARMS
from training.change_detection.collection import COUNTS, Collection
from training.change_detection.measure import fit
from training.change_detection.takes import EXCERPT
from training.data.attribution import describe_data, write_attribution
from training.data.manifest import SourceClip
from training.errors import DatasetError
from training.export.export import with_files
from training.export.provenance import git_commit
from training.model.frontend import SAMPLE_RATE
from training.reports.cards import put_change

FILE = "change.npz"
ATTRIBUTION = "ATTRIBUTION.csv"
ROLE = "calibration"  # of a clip that nothing else of the bundle heard


def calibrate(folder: Path, collection: Collection) -> Path:
    """Fit a detector to the permissive takes of a collection, and put it into a bundle.

    A detector that is there is replaced. The bundle is changed only when all is complete.

    Args:
        folder: The bundle whose encoder embedded the collection.
        collection: Its takes.

    Returns:
        The folder.

    Raises:
        BundleError: It is no bundle.
        DatasetError: There are not enough permissive takes.
    """
    bundle = load_bundle(folder)
    chosen = collection.is_permissive
    if not chosen.any():
        raise DatasetError("none of the recordings may be shipped: permissive must be 1")
    staged = Bundle(folder.with_name(folder.name + ".partial"), bundle.manifest)
    shutil.rmtree(staged.path, ignore_errors=True)
    shutil.copytree(folder, staged.path)
    detector = fit(collection, chosen)
    info = _describe(collection, chosen)
    _with_known_score(detector, bundle).write(staged.file(FILE))
    attribution = staged.file(ATTRIBUTION)
    fresh = _unnamed(info_clips(collection, chosen), attribution)
    write_attribution(attribution, {ROLE: fresh}, attribution)
    put_change(staged.path, info)
    manifest = staged.manifest.model_copy(update={"change": info})
    write_manifest(staged.path, with_files(staged.path, manifest))
    finished = load_bundle(staged.path)
    opened = ChangeDetector.open(finished)
    assert opened is not None
    opened.check(finished)
    shutil.rmtree(folder)
    staged.path.rename(folder)
    return folder


def info_clips(collection: Collection, chosen: np.ndarray) -> list[SourceClip]:
    """List the clips that chosen takes were made of."""
    takes = [take for take, is_in in zip(collection.takes, chosen, strict=True) if is_in]
    rows = {take.row for take in takes} | {take.event for take in takes if take.event is not None}
    return [collection.material.store.clips[row] for row in sorted(rows)]


def _describe(collection: Collection, chosen: np.ndarray) -> ChangeInfo:
    store = collection.material.store
    names = {clip.name for clip in info_clips(collection, chosen)}
    scores: dict[str, float | int | str] = {
        f"pairs_{n}": int(chosen[collection.trials(n).mixtures].sum()) for n in COUNTS
    }
    scores["recordings"] = len(
        {take.row for take, kept in zip(collection.takes, chosen, strict=True) if kept}
    )
    return ChangeInfo(
        file=FILE,
        false_alarm_rate=FALSE_ALARMS,
        excerpt_s=EXCERPT / SAMPLE_RATE,
        commit=git_commit(),
        data=describe_data(store.select(clip.name in names for clip in store.clips)),
        scores=scores,
    )


def _with_known_score(detector: ChangeDetector, bundle: Bundle) -> ChangeDetector:
    with np.load(bundle.file(bundle.manifest.known_answer.file)) as known:
        score = detector.score(known["embedding"], [bundle.mean])
    return ChangeDetector(detector.discriminant, replace(detector.calibration, known_score=score))


def _unnamed(clips: Sequence[SourceClip], attribution: Path) -> list[SourceClip]:
    """Keep the clips that the attribution does not name yet."""
    if not attribution.is_file():
        return list(clips)
    with attribution.open(newline="", encoding="utf-8") as lines:
        named = {row["path"] for row in csv.DictReader(lines)}
    return [clip for clip in clips if clip.name not in named]
