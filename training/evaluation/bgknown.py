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
from training.evaluation.division import divide
from training.evaluation.embeddings import embed_cached, read_sound
from training.evaluation.encoders import Embedder
from training.evaluation.heard import count_heard
from training.evaluation.interval import percent
from training.evaluation.probe import ProbeSettings, run_probe

SEEDS = (42, 43, 44)
REFERENCES = PARTS[1:]
SETTINGS = ("mix", *REFERENCES)


@dataclass(frozen=True, slots=True)
class BgKnown:
    """A data set that ``data bgknown`` made.

    Attributes:
        folder: Where it is.
        rows: Of its manifest.
        summary: What it says of itself.
    """

    folder: Path
    rows: list[dict[str, str]]
    summary: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> BgKnown:
        """Read a data set's manifest.

        Raises:
            DatasetError: It is not there.
        """
        return cls(folder, read_rows(folder), read_summary(folder))

    def side(self, name: str) -> np.ndarray:
        """Number the rows of a side."""
        return np.flatnonzero([row["side"] == name for row in self.rows])

    def loader(self, part: str) -> Callable[[int], Float32[np.ndarray, " samples"]]:
        """Give a reader of one part of each row: ``mixture``, ``a``, ``b`` or ``c``."""
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

    A classifier of its own is trained for each kind of reference (B13); the data set stays the
    same for all seeds, which draw the validation rows and train the classifier (B12, B14). Where
    the encoder is normalised by the data set, that is by the mixtures of the training side (B10).

    Args:
        embedder: What is evaluated.
        data: The data set.
        cache: Folder of caches.
        settings: Of the classifier.
        seeds: One run each.
        coefficient: Of the reference; 1 in the paper (B15).

    Returns:
        Accuracy [%] by ``mix``, ``a``, ``b`` and ``c``.
    """
    embeddings = embed_parts(embedder, data, cache)
    labels = np.unique([row["label"] for row in data.rows], return_inverse=True)[1]
    accuracies: dict[str, dict[str, object]] = {}
    for setting in SETTINGS:
        features = np.array(embeddings["mixture"])
        if setting != "mix":
            features -= np.float32(coefficient) * embeddings[setting]
        runs = []
        for seed in seeds:
            division = divide(data.side(TRAIN), data.side(TEST), labels, seed)
            runs.append(run_probe(features, labels, division, settings, seed))
        accuracies[setting] = percent(runs)
    return accuracies


def embed_parts(
    embedder: Embedder, data: BgKnown, cache: Path
) -> Mapping[str, Float32[np.ndarray, "clips dim"]]:
    """Embed mixtures and references."""
    mixtures = data.loader("mixture")
    embedder.fit(mixtures(int(i)) for i in data.side(TRAIN))
    identity = data.summary["manifest_sha256"]
    return {
        part: embed_cached(embedder, data.loader(part), len(data.rows), f"{identity} {part}", cache)
        for part in PARTS
    }


def heard_in(data: BgKnown, heard: frozenset[str]) -> dict[str, int] | None:
    """Count the test mixtures whose event or background was heard in pre-training."""
    tested = (data.rows[i] for i in data.side(TEST))
    return count_heard((split_sources(row["sources"]) for row in tested), heard)
