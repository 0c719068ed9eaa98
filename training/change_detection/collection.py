"""The takes of a manifest with their embeddings, and the trials they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.bundle.files import hash_file
from training.change_detection.render import render_take
from training.change_detection.takes import (
    CONDITIONS,
    Condition,
    Material,
    Take,
    draw_takes,
    find_material,
)
from training.change_detection.trials import Against, Trials, make_trials
from training.data.manifest import read_clips
from training.data.splits import sources
from training.data.store import open_store
from training.errors import DatasetError
from training.evaluation.embeddings import embed_cached, hash_parts
from training.evaluation.encoders import Embedder
from training.evaluation.overlap import trained_sources
from training.scenes.pool import scene_clips

COUNTS = (1, 2, 4)
SEED = 42
MAX_UNREADABLE = 0.01
VERSION = 1  # of what is drawn and how it is rendered


@dataclass(frozen=True, slots=True)
class Collection:
    """Takes and their embeddings.

    Attributes:
        material: What they were drawn from.
        takes: The takes.
        embeddings: One each [takes dim].
    """

    material: Material
    takes: Sequence[Take]
    embeddings: Float32[np.ndarray, "takes dim"]

    @property
    def folds(self) -> Int64[np.ndarray, " rows"]:
        """The fold of every clip of the store, by its row."""
        rows = range(len(self.material.store.clips))
        used = {*self.material.recordings, *self.material.events}
        return np.array([self.material.fold(row) if row in used else -1 for row in rows])

    @property
    def is_permissive(self) -> Bool[np.ndarray, " takes"]:
        """Whether a bundle that is fitted to a take may be shipped."""
        allowed = [
            self.material.is_permissive(row) for row in range(len(self.material.store.clips))
        ]
        return np.array(
            [
                allowed[take.row] and (take.event is None or allowed[take.event])
                for take in self.takes
            ]
        )

    def count_heard(self, bundle: Path) -> int:
        """Count the recordings that share a source with what a bundle's encoder was trained on.

        Raises:
            DatasetError: The bundle does not name its clips.
        """
        clips = self.material.store.clips
        heard = trained_sources(bundle, clips)
        own = [sources(clips[row]) | {clips[row].name} for row in self.material.recordings]
        return sum(not heard.isdisjoint(names) for names in own)

    def trials(
        self,
        n_references: int,
        *,
        conditions: Sequence[Condition] = CONDITIONS,
        against: Against = "others",
    ) -> Trials:
        """Pair the takes, see `make_trials`."""
        return make_trials(self.takes, n_references, conditions=conditions, against=against)

    def nuisances(self) -> Int64[np.ndarray, "pairs two"]:
        """Pair the takes of the same sound that differ by level, codec or a shift alone."""
        plain = {
            (take.row, take.first): number
            for number, take in enumerate(self.takes)
            if take.condition == "plain" and take.event is None
        }
        pairs = [
            (number, plain[take.row, take.first])
            for number, take in enumerate(self.takes)
            if take.condition != "plain" and take.event is None
        ]
        return np.array(pairs, np.int64).reshape(-1, 2)


def collect(data: Path, embedder: Embedder, cache: Path) -> Collection:
    """Draw takes from a manifest and embed them, or read what an earlier call wrote.

    Args:
        data: The manifest.
        embedder: Embeds them.
        cache: Folder of decoded audio and embeddings.

    Raises:
        DatasetError: It is no manifest, or does not have recordings and events.
    """
    if not data.is_file():
        raise DatasetError(f"{data} is no manifest; one is needed, with labels and recordings")
    store = open_store(scene_clips(read_clips(data)), cache, MAX_UNREADABLE)
    material = find_material(store)
    takes = draw_takes(material, SEED)
    name = hash_parts(["changed", VERSION, SEED, hash_file(data).sha256])
    embeddings = embed_cached(
        embedder, lambda i: render_take(store, takes[i]), len(takes), name, cache
    )
    return Collection(material, takes, np.asarray(embeddings))
