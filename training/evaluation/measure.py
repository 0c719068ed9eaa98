"""Run a measurement and write its row of a results file, with everything it depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from service.bundle.manifest import decode_mean
from training.data.manifest import read_clips
from training.data.splits import sources
from training.datasets.metadata import read_metadata
from training.datasets.tasks import DEFAULT_RATE, TASKS, Task
from training.errors import DatasetError
from training.evaluation.bgknown import BgKnown, count_seen, evaluate_bgknown
from training.evaluation.encoders import TEACHER, Embedder, Statistics, open_embedder
from training.evaluation.linear import LinearTask, evaluate_linear
from training.evaluation.overlap import count_overlap, trained_sources, unseen_clips
from training.evaluation.probe import Monitor, ProbeSettings
from training.evaluation.separation import draw_pairs, evaluate_separation
from training.results import put_row

BGKNOWN, LINEAR, SEPARATION = "bgknown.json", "linear.json", "separation.json"
SWEEP = "sweep.json"
BGKNOWN_RATE = 1e-3
DEFAULT_WEIGHT = 0.5  # of the reference, for an encoder without a bundle


@dataclass(frozen=True, slots=True)
class Measurement:
    """Encoder, settings and folders of a measurement.

    Attributes:
        encoder: Folder of a bundle, ``random:SEED``, ``log-mel`` or ``teacher``.
        statistics: Statistics that the log-mel is normalised by.
        results: Folder of the results files.
        cache: Folder of caches.
        seeds: Of the classifiers, or of the drawn pairs.
        monitor: Figure that early stopping watches.
        threads: Threads of encoders and classifiers; 0 for one for each core.
    """

    encoder: str
    statistics: Statistics
    results: Path
    cache: Path
    seeds: tuple[int, ...] = (42, 43, 44)
    monitor: Monitor = "loss"
    threads: int = 0

    def open(self) -> Embedder:
        """Open the encoder, and set the number of threads of torch."""
        if self.threads:
            torch.set_num_threads(self.threads)
        return open_embedder(self.encoder, self.statistics, self.threads)

    def trained_sources(self, embedder: Embedder) -> frozenset[str] | None:
        """List the sources that the encoder was trained on.

        None are there for an untrained encoder; for the teacher they are not known.
        """
        if self.encoder == TEACHER:
            return None
        return trained_sources(Path(self.encoder)) if embedder.manifest else frozenset()

    def put_row(
        self, file: str, embedder: Embedder, key: Mapping[str, object], figures: Mapping[str, Any]
    ) -> None:
        """Write a row of a results file; it replaces the row of the same encoder and key."""
        about = embedder.describe()
        name = about.get("fingerprint", about["id"])
        encoder = {"encoder": name, "statistics": about["statistics"]}
        row = {"encoder": about, "seeds": list(self.seeds), **figures}
        put_row(self.results / file, {**encoder, **key}, row)


def measure_bgknown(data: Path, measurement: Measurement, coefficient: float = 1.0) -> str:
    """Evaluate on Background-known ESC-50.

    Args:
        data: Folder of the data set.
        measurement: Encoder, settings and folders.
        coefficient: Factor of the reference.

    Returns:
        A line with the accuracies [%].

    Raises:
        DatasetError: The data set does not exist or cannot be read.
        BundleError: There is no such bundle.
    """
    opened, embedder = BgKnown.open(data), measurement.open()
    monitor = measurement.monitor
    settings = ProbeSettings(learning_rate=BGKNOWN_RATE, monitor=monitor)
    accuracy = evaluate_bgknown(
        embedder,
        opened,
        measurement.cache,
        settings,
        seeds=measurement.seeds,
        coefficient=coefficient,
    )
    digest = opened.summary["manifest_sha256"]
    figures = {
        "data": opened.summary,
        "test_clips_heard": count_seen(opened, measurement.trained_sources(embedder)),
        "probe": asdict(settings),
        "accuracy": accuracy,
    }
    key = {"data": digest, "coefficient": coefficient, "monitor": monitor}
    measurement.put_row(BGKNOWN, embedder, key, figures)
    return _line(embedder, {name: figures["mean"] for name, figures in accuracy.items()})


def measure_linear(
    name: str,
    metadata: Path,
    measurement: Measurement,
    *,
    train_folds: str | None = None,
    unit_s: float | None = None,
    learning_rate: float | None = None,
) -> str:
    """Evaluate on a task of labelled clips.

    Args:
        name: Name of one of ``TASKS``, or any other name together with ``unit_s``.
        metadata: CSV made by ``minuend-train data prepare``.
        measurement: Encoder, settings and folders.
        train_folds: Numbers with commas between them: train on these folds, test on all others.
        unit_s: Length that is embedded [s]; None takes that of the task.
        learning_rate: Of the classifier; None takes that of the task.

    Returns:
        A line with the accuracy [%].

    Raises:
        DatasetError: The metadata or a clip cannot be read, or the length is not known.
        BundleError: There is no such bundle.
    """
    known = _task(name, unit_s, learning_rate)
    folds = _folds(train_folds)
    task = LinearTask(read_metadata(metadata), known.unit_s, folds)
    embedder, monitor = measurement.open(), measurement.monitor
    settings = ProbeSettings(learning_rate=known.learning_rate, monitor=monitor)
    accuracy = evaluate_linear(embedder, task, measurement.cache, settings, measurement.seeds)
    digest = hashlib.sha256(metadata.read_bytes()).hexdigest()
    trained_on = sorted(folds) if folds else None
    figures = {
        "task": name,
        "train_folds": trained_on,
        "data": {
            "metadata_sha256": digest,
            "clips": len(task.clips),
            "classes": int(task.labels.max()) + 1,
            "clips_expected": known.clips,
            "classes_expected": known.classes,
            "unit_s": known.unit_s,
        },
        "test_clips_heard": task.count_seen(measurement.trained_sources(embedder)),
        "probe": asdict(settings),
        "accuracy": accuracy,
    }
    key = {"task": name, "data": digest, "train_folds": trained_on, "monitor": monitor}
    measurement.put_row(LINEAR, embedder, key, figures)
    return _line(embedder, {name: accuracy["mean"], "+-": accuracy["interval_95"]})


def measure_separate(
    data: Path, measurement: Measurement, pairs: int, unseen_by: Path | None
) -> str:
    """Measure separability on clips that the encoder was not trained on.

    Args:
        data: Manifest or folder of clips.
        measurement: Encoder, settings and folders; the first seed draws clips and pairs.
        pairs: Number of mixtures for each level.
        unseen_by: Bundle whose training clips are left out as well, or None.

    Returns:
        A line with the median ranks at 0 dB.

    Raises:
        DatasetError: Too few clips are left, or one cannot be read.
        BundleError: There is no such bundle.
    """
    embedder, clips = measurement.open(), read_clips(data)
    bundle = Path(measurement.encoder) if embedder.manifest else None
    unseen = clips
    for trained in filter(None, (unseen_by, bundle)):
        unseen = unseen_clips(unseen, trained)
    seed = measurement.seeds[0]
    drawn = draw_pairs(unseen, pairs, seed)
    mean, weight = _difference(embedder)
    by_level = evaluate_separation(embedder, drawn, measurement.cache, mean)
    names = hashlib.sha256("\n".join(clip.name for clip in drawn.clips).encode()).hexdigest()
    digest = hashlib.sha256(data.read_bytes()).hexdigest() if data.is_file() else None
    used = (sources(clip) | {clip.name} for clip in drawn.clips)
    figures = {
        "reference_weight": weight,
        "data": {
            "manifest_sha256": digest,
            "clips_sha256": names,
            "unheard_clips": len(unseen),
            "candidates": len(drawn.clips) - 1,
            "pairs": int(drawn.added.size),
        },
        "test_clips_heard": count_overlap(used, measurement.trained_sources(embedder)),
        "by_snr_db_and_weight": by_level,
    }
    key = {"data": names, "pairs": pairs, "seed": seed}
    measurement.put_row(SEPARATION, embedder, key, figures)
    ranks = {w: by_level["0"][w]["median_rank"] for w in ("0", f"{weight:g}", "1")}
    return _line(embedder, {f"median rank, w {w}": rank for w, rank in ranks.items()})


def _difference(embedder: Embedder) -> tuple[Any, float]:
    """Return mean and weight of the reference of the bundle; defaults without a bundle."""
    if embedder.manifest is None:
        return None, DEFAULT_WEIGHT
    difference = embedder.manifest.difference
    return decode_mean(difference.mean), difference.reference_weight


def _task(name: str, unit_s: float | None, learning_rate: float | None) -> Task:
    if name not in TASKS and unit_s is None:
        raise DatasetError(
            f"{name!r} is none of {', '.join(TASKS)}: a task of your own takes --unit-s"
        )
    task = TASKS.get(name) or Task(name, 0.0, DEFAULT_RATE)
    return replace(
        task,
        unit_s=unit_s or task.unit_s,
        learning_rate=learning_rate or task.learning_rate,
    )


def _folds(text: str | None) -> frozenset[int] | None:
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdigit() for word in words):
        raise DatasetError(f"the folds {text!r} must be numbers with commas between them")
    return frozenset(int(word) for word in words)


def _line(embedder: Embedder, figures: dict[str, object]) -> str:
    text = ", ".join(f"{name} {value}" for name, value in figures.items())
    return f"{embedder.describe()['id']}: {text}"
