"""Run a measurement and put what came out into the results, with all that it depends on."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from training.data.manifest import read_clips
from training.data.splits import sources
from training.datasets.metadata import read_metadata
from training.datasets.tasks import DEFAULT_RATE, TASKS, Task
from training.errors import DatasetError
from training.evaluation.bgknown import BgKnown, evaluate_bgknown, heard_in
from training.evaluation.encoders import Embedder, Statistics, open_embedder
from training.evaluation.heard import count_heard, heard_sources, unheard
from training.evaluation.linear import LinearTask, evaluate_linear
from training.evaluation.probe import Monitor, ProbeSettings
from training.evaluation.separation import draw_pool, measure_separation
from training.results import put_row

BGKNOWN, LINEAR, SEPARATION = "bgknown.json", "linear.json", "separation.json"
SWEEP = "sweep.json"
BGKNOWN_RATE = 1e-3


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is measured and where it is put.

    Attributes:
        encoder: Folder of a bundle, ``random:SEED`` or ``log-mel``.
        statistics: What the log-mel is normalised by.
        results: Folder of the results files.
        cache: Folder of caches.
        seeds: Of the classifiers, or of the drawn pairs.
        monitor: What early stopping watches.
        threads: Of encoders and classifiers; 0 for one a core.
    """

    encoder: str
    statistics: Statistics
    results: Path
    cache: Path
    seeds: tuple[int, ...] = (42, 43, 44)
    monitor: Monitor = "loss"
    threads: int = 0

    def open(self) -> Embedder:
        """Open the encoder, and let torch have as many threads."""
        if self.threads:
            torch.set_num_threads(self.threads)
        return open_embedder(self.encoder, self.statistics, self.threads)

    def heard(self, embedder: Embedder) -> frozenset[str]:
        """Name the sources the encoder has heard; none if it was never trained."""
        return heard_sources(Path(self.encoder)) if embedder.manifest else frozenset()

    def key(self, embedder: Embedder, **more: object) -> dict[str, object]:
        """Tell one row of a results file from the others."""
        about = embedder.describe()
        named = about.get("fingerprint", about["id"])
        return {"encoder": named, "statistics": about["statistics"], **more}


def measure_bgknown(data: Path, measurement: Measurement, coefficient: float = 1.0) -> str:
    """Evaluate on Background-known ESC-50; return what came out, in a line.

    Raises:
        DatasetError: The data set is not there or cannot be read.
        BundleError: There is no such bundle.
    """
    opened, embedder = BgKnown.open(data), measurement.open()
    settings = ProbeSettings(learning_rate=BGKNOWN_RATE, monitor=measurement.monitor)
    accuracy = evaluate_bgknown(
        embedder,
        opened,
        measurement.cache,
        settings,
        seeds=measurement.seeds,
        coefficient=coefficient,
    )
    manifest = opened.summary["manifest_sha256"]
    key = measurement.key(
        embedder, data=manifest, coefficient=coefficient, monitor=measurement.monitor
    )
    put_row(
        measurement.results / BGKNOWN,
        key,
        {
            "encoder": embedder.describe(),
            "data": opened.summary,
            "test_clips_heard": heard_in(opened, measurement.heard(embedder)),
            "probe": asdict(settings),
            "seeds": list(measurement.seeds),
            "accuracy": accuracy,
        },
    )
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
    """Evaluate on a task of labelled clips; return what came out, in a line.

    Raises:
        DatasetError: The metadata or a clip cannot be read, or nothing says how long a clip is.
        BundleError: There is no such bundle.
    """
    known = _task(name, unit_s, learning_rate)
    folds = _folds(train_folds)
    task = LinearTask(read_metadata(metadata), known.unit_s, folds)
    embedder = measurement.open()
    settings = ProbeSettings(learning_rate=known.learning_rate, monitor=measurement.monitor)
    accuracy = evaluate_linear(embedder, task, measurement.cache, settings, measurement.seeds)
    digest = hashlib.sha256(metadata.read_bytes()).hexdigest()
    trained_on = sorted(folds) if folds else None
    put_row(
        measurement.results / LINEAR,
        measurement.key(
            embedder, task=name, data=digest, train_folds=trained_on, monitor=measurement.monitor
        ),
        {
            "encoder": embedder.describe(),
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
            "test_clips_heard": task.heard(measurement.heard(embedder)),
            "probe": asdict(settings),
            "seeds": list(measurement.seeds),
            "accuracy": accuracy,
        },
    )
    return _line(embedder, {name: accuracy["mean"], "+-": accuracy["interval_95"]})


def measure_separate(
    data: Path, measurement: Measurement, pairs: int, unheard_by: Path | None
) -> str:
    """Measure separation on clips that were not heard; return what came out at 0 dB, in a line.

    Raises:
        DatasetError: Too little of the data was not heard, or a clip cannot be read.
        BundleError: There is no such bundle.
    """
    embedder = measurement.open()
    clips = read_clips(data)
    bundle = unheard_by or (Path(measurement.encoder) if embedder.manifest else None)
    free = unheard(clips, bundle) if bundle else clips
    if embedder.manifest and unheard_by:
        free = unheard(free, Path(measurement.encoder))
    pool = draw_pool(free, pairs, measurement.seeds[0])
    mean, weight = _difference(embedder)
    figures = measure_separation(embedder, pool, measurement.cache, mean)
    names = hashlib.sha256("\n".join(clip.name for clip in pool.clips).encode()).hexdigest()
    put_row(
        measurement.results / SEPARATION,
        measurement.key(embedder, data=names, pairs=pairs, seed=measurement.seeds[0]),
        {
            "encoder": embedder.describe(),
            "reference_weight": weight,
            "data": {
                "manifest_sha256": hashlib.sha256(data.read_bytes()).hexdigest()
                if data.is_file()
                else None,
                "clips_sha256": names,
                "unheard_clips": len(free),
                "candidates": len(pool.clips) - 1,
                "pairs": int(pool.added.size),
            },
            "test_clips_heard": count_heard(
                (sources(clip) | {clip.name} for clip in pool.clips), measurement.heard(embedder)
            ),
            "seeds": list(measurement.seeds),
            "by_snr_db_and_weight": figures,
        },
    )
    at_0 = figures["0"]
    return _line(
        embedder, {f"median rank, w {w}": at_0[w]["median_rank"] for w in ("0", f"{weight:g}", "1")}
    )


def _difference(embedder: Embedder) -> tuple[Any, float]:
    """Give mean and weight of the bundle; half of the reference where there is no bundle."""
    if embedder.manifest is None:
        return None, 0.5
    from service.bundle.manifest import decode_mean

    difference = embedder.manifest.difference
    return decode_mean(difference.mean), difference.reference_weight


def _task(name: str, unit_s: float | None, learning_rate: float | None) -> Task:
    known = TASKS.get(name)
    if known is None and unit_s is None:
        raise DatasetError(
            f"{name!r} is none of {', '.join(TASKS)}: a task of your own takes --unit-s"
        )
    known = known or Task(name, 0.0, DEFAULT_RATE)
    return Task(
        known.title,
        unit_s or known.unit_s,
        learning_rate or known.learning_rate,
        known.classes,
        known.clips,
    )


def _folds(text: str | None) -> frozenset[int] | None:
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdigit() for word in words):
        raise DatasetError(f"the folds {text!r} must be numbers with commas between them")
    return frozenset(int(word) for word in words)


def _line(embedder: Embedder, figures: dict[str, object]) -> str:
    about = ", ".join(f"{name} {value}" for name, value in figures.items())
    return f"{embedder.describe()['id']}: {about}"
