"""Linear evaluation over all labelled corpora of a manifest: one row a corpus and encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64
from tqdm import tqdm

from training.data.manifest import read_clips
from training.datasets.corpora import FOLD, TRAINING_FOLDS, Corpus, find_corpora
from training.errors import DatasetError
from training.evaluation.embeddings import embed_cached
from training.evaluation.encoders import Embedder
from training.evaluation.linear import CROP_SEED, STATISTICS_CLIPS, LinearTask
from training.evaluation.logistic_probe import STRENGTHS, grouped_folds, run_logistic_probe
from training.evaluation.measure import Measurement
from training.results import put_row

CORPORA = "linear_corpora.json"
RESAMPLES = 1_000  # of the bootstrap interval
SEED = 42  # of inner folds and of the bootstrap


@dataclass(frozen=True, slots=True)
class Protocol:
    """A corpus with one way to train and test on it.

    Attributes:
        corpus: The corpus.
        task: Its clips and rounds.
    """

    corpus: Corpus
    task: LinearTask

    @property
    def train_folds(self) -> list[int] | None:
        """The folds of the single training side; None for cross-validation or splits."""
        return sorted(self.task.train_folds) if self.task.train_folds else None


def protocols_of(corpus: Corpus) -> list[Protocol]:
    """List the protocols of a corpus: chosen folds first, if it has any, then all of them."""
    chosen = TRAINING_FOLDS.get(corpus.name) if corpus.sides == FOLD else None
    return [
        Protocol(corpus, LinearTask(corpus.clips, corpus.unit_s, folds))
        for folds in ([chosen, None] if chosen else [None])
    ]


def measure_corpora(
    manifest: Path, measurements: Sequence[Measurement], only: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Evaluate encoders on all labelled corpora; write a row for each encoder and protocol.

    Args:
        manifest: CSV manifest with the columns ``corpus``, ``label`` and ``recording``.
        measurements: One for each encoder.
        only: Names of the corpora to evaluate; empty takes all.

    Yields:
        The rows, as they are written.

    Raises:
        DatasetError: There is no such corpus, or a clip cannot be read.
        BundleError: There is no such bundle.
        TeacherError: The teacher is not installed.
    """
    corpora, left_out = find_corpora(read_clips(manifest))
    if missing := set(only) - {corpus.name for corpus in corpora}:
        name = min(missing)
        raise DatasetError(f"{name!r} cannot be evaluated: {left_out.get(name, 'no such corpus')}")
    chosen = [corpus for corpus in corpora if not only or corpus.name in only]
    if not chosen:
        raise DatasetError(f"{manifest} has no labelled corpus: {left_out}")
    for measurement in measurements:
        embedder = measurement.open()
        for corpus in tqdm(chosen, desc=measurement.encoder, unit="corpus"):
            for protocol, figures in evaluate_corpus(embedder, corpus, measurement.cache):
                yield _put_row(measurement, embedder, protocol, figures, left_out)


def evaluate_corpus(
    embedder: Embedder, corpus: Corpus, cache: Path
) -> Iterator[tuple[Protocol, dict[str, Any]]]:
    """Embed a corpus once, and evaluate every protocol of it.

    Statistics of the data set, if the encoder uses any, are those of the training side of the
    first round of the first protocol.

    Yields:
        The protocol, and its accuracy [%] with a 95 % interval over the test recordings.
    """
    protocols = protocols_of(corpus)
    first = protocols[0].task
    fitted = np.random.default_rng(CROP_SEED).permutation(first.rounds()[0][0])
    embedder.fit(first.load(int(i)) for i in fitted[:STATISTICS_CLIPS])
    features = embed_cached(embedder, first.load, len(corpus.clips), first.identity(), cache)
    labels = first.labels
    valid = np.array([clip.split == "valid" for clip in corpus.clips])
    for protocol in protocols:
        results, tested = [], []
        for train, test in protocol.task.rounds():
            inner = (
                [(train[~valid[train]], train[valid[train]])]
                if valid.any()
                else grouped_folds(train, corpus.recordings, SEED)
            )
            results.append(run_logistic_probe(features, labels, train, test, inner))
            tested.append(test)
        rows, is_right = np.concatenate(tested), np.concatenate([r.is_right for r in results])
        groups = np.unique([corpus.recordings[row] for row in rows], return_inverse=True)[1]
        yield (
            protocol,
            {
                "accuracy": round(100.0 * float(is_right.mean()), 2),
                "interval_95": bootstrap_interval(is_right, groups),
                "tested": int(rows.size),
                "test_recordings": int(groups.max()) + 1,
                "strengths": [round(result.strength, 6) for result in results],
            },
        )


def bootstrap_interval(
    is_right: Bool[np.ndarray, " rows"], groups: Int64[np.ndarray, " rows"]
) -> list[float]:
    """Estimate a 95 % interval of the accuracy [%] by drawing groups of clips with replacement."""
    right = np.bincount(groups, is_right)
    sizes = np.bincount(groups)
    random = np.random.default_rng(SEED)
    drawn = random.integers(sizes.size, size=(RESAMPLES, sizes.size))
    accuracies = right[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(100.0 * accuracies, [0.025, 0.975])
    return [round(float(low), 2), round(float(high), 2)]


def _put_row(
    measurement: Measurement,
    embedder: Embedder,
    protocol: Protocol,
    figures: dict[str, Any],
    left_out: dict[str, str],
) -> dict[str, Any]:
    """Write the row of one encoder and protocol; an earlier one is replaced."""
    corpus, task = protocol.corpus, protocol.task
    about = embedder.describe()
    key = {
        "encoder": about.get("fingerprint", about["id"]),
        "corpus": corpus.name,
        "train_folds": protocol.train_folds,
    }
    row = {
        "encoder": about,
        "corpus": corpus.name,
        "train_folds": protocol.train_folds,
        "sides": corpus.sides,
        "clips": len(corpus.clips),
        "classes": int(task.labels.max()) + 1,
        "unit_s": corpus.unit_s,
        "candidates": [round(strength, 6) for strength in STRENGTHS],
        "test_clips_heard": task.count_seen(measurement.trained_sources(embedder)),
        "corpora_left_out": left_out,
        **figures,
    }
    put_row(measurement.results / CORPORA, key, row)
    return {"key": key, **row}
