"""Linear evaluation on Background-known ESC-50 (paper, section 5.2, table 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from training.datasets.bgknown import PARTS, read_rows, read_summary
from training.datasets.metadata import split_sources
from training.datasets.sides import TEST, TRAIN
from training.evaluation.embeddings import embed_cached, read_sound
from training.evaluation.encoders import Embedder
from training.evaluation.interval import summarise
from training.evaluation.overlap import count_overlap
from training.evaluation.probe import ProbeSettings, run_probe
from training.evaluation.row_splits import stratified_splits

SEEDS = (42, 43, 44)
REFERENCES = PARTS[1:]
SETTINGS = ("mix", *REFERENCES)


@dataclass(frozen=True, slots=True)
class BgKnown:
    """A data set made by ``minuend-train data bgknown``.

    Attributes:
        folder: Its folder.
        rows: Rows of its manifest.
        summary: Content of its ``dataset.json``.
    """

    folder: Path
    rows: list[dict[str, str]]
    summary: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> BgKnown:
        """Read the manifest and the summary of a data set.

        Raises:
            DatasetError: The folder holds none.
        """
        return cls(folder, read_rows(folder), read_summary(folder))

    def side(self, name: str) -> np.ndarray:
        """Return the numbers of the rows of a side, ``train`` or ``test``."""
        return np.flatnonzero([row["side"] == name for row in self.rows])

    def loader(self, part: str) -> Callable[[int], Float32[np.ndarray, " samples"]]:
        """Return a reader of one part of each row: ``mixture``, ``a``, ``b`` or ``c``."""
        return lambda i: read_sound(self.folder / part / f"{self.rows[i]['name']}.wav")


def evaluate_bgknown(
    embedder: Embedder,
    data: BgKnown,
    cache: Path,
    settings: ProbeSettings,
    *,
    seeds: Sequence[int] = SEEDS,
    coefficient: float = 1.0,
) -> dict[str, dict[str, object]]:
    """Classify events by ``f(mixture)`` and by ``f(mixture) - coefficient f(reference)``.

    Each kind of reference has a classifier of its own (docs/method.md, B13). A seed draws the
    validation rows and trains the classifier; the data set stays the same (B12, B14). Statistics
    of the data set, if the encoder uses any, are those of the training mixtures (B10).

    Args:
        embedder: The encoder to evaluate.
        data: The data set.
        cache: Folder of caches.
        settings: Of the classifier.
        seeds: One run for each.
        coefficient: Factor of the reference; 1 in the paper (B15).

    Returns:
        Accuracy [%] by ``mix``, ``a``, ``b`` and ``c``.
    """
    embeddings = embed_parts(embedder, data, cache)
    accuracies: dict[str, dict[str, object]] = {}
    for setting in SETTINGS:
        features = np.array(embeddings["mixture"])
        if setting != "mix":
            features -= np.float32(coefficient) * embeddings[setting]
        accuracies[setting] = summarise(run_probes(features, data, settings, seeds))
    return accuracies


def run_probes(
    features: Float32[np.ndarray, "clips dim"],
    data: BgKnown,
    settings: ProbeSettings,
    seeds: Sequence[int],
) -> list[float]:
    """Train a classifier of the events with each seed; return the accuracies, 0 to 1."""
    labels = np.unique([row["label"] for row in data.rows], return_inverse=True)[1]
    train, test = data.side(TRAIN), data.side(TEST)
    splits = {seed: stratified_splits(train, test, labels, seed) for seed in seeds}
    return [run_probe(features, labels, rows, settings, seed) for seed, rows in splits.items()]


def embed_parts(
    embedder: Embedder, data: BgKnown, cache: Path
) -> Mapping[str, Float32[np.ndarray, "clips dim"]]:
    """Embed all mixtures and references; keys are ``mixture``, ``a``, ``b`` and ``c``."""
    mixtures = data.loader("mixture")
    embedder.fit(mixtures(int(i)) for i in data.side(TRAIN))
    identity = data.summary["manifest_sha256"]
    return {
        part: embed_cached(embedder, data.loader(part), len(data.rows), f"{identity} {part}", cache)
        for part in PARTS
    }


def count_seen(data: BgKnown, seen: frozenset[str] | None) -> dict[str, int] | None:
    """Count the test mixtures whose event or background is in the pre-training data."""
    tested = (data.rows[i] for i in data.side(TEST))
    return count_overlap((split_sources(row["sources"]) for row in tested), seen)
