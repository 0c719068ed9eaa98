"""The excerpts of a manifest with their embeddings, and the trials made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.bundle.files import hash_file
from training.change_detection.excerpts import (
    CONDITIONS,
    EXCERPT_SAMPLES,
    Condition,
    DetectionClips,
    Excerpt,
    draw_excerpts,
    select_clips,
)
from training.change_detection.render import render_excerpt
from training.change_detection.trials import Against, DetectionTrials, make_trials
from training.change_detection.windows import windowed
from training.data.splits import matches, sources
from training.evaluation.embeddings import embed_cached, hash_parts
from training.evaluation.encoders import Embedder
from training.evaluation.overlap import trained_sources
from training.scenes.generate import open_scene_store
from training.scenes.pool import PERMISSIVE
from training.scenes.recipe import load_scene

REFERENCE_COUNTS = (1, 2, 4)
SEED = 42
VERSION = 2  # to be raised when draws or rendering change


@dataclass(frozen=True, slots=True)
class DetectionDataset:
    """Excerpts and their embeddings.

    Attributes:
        clips: The recordings and events they are made from.
        excerpts: The excerpts.
        embeddings: One for each [excerpts dim].
        windows: Embeddings of the windows of each [excerpts windows dim].
    """

    clips: DetectionClips
    excerpts: Sequence[Excerpt]
    embeddings: Float32[np.ndarray, "excerpts dim"]
    windows: Float32[np.ndarray, "excerpts windows dim"]

    @property
    def folds(self) -> Int64[np.ndarray, " rows"]:
        """The fold of every clip of the store, by its row; -1 for a clip that is not used."""
        used = {*self.clips.recordings, *self.clips.events}
        rows = range(len(self.clips.store.clips))
        return np.array([self.clips.fold(row) if row in used else -1 for row in rows])

    @property
    def is_permissive(self) -> Bool[np.ndarray, " excerpts"]:
        """True for excerpts that a shipped detector may be fitted to, by their licence."""
        allowed = [matches(clip, PERMISSIVE) for clip in self.clips.store.clips]
        used = ((excerpt.recording, excerpt.event) for excerpt in self.excerpts)
        return np.array([all(allowed[row] for row in pair if row is not None) for pair in used])

    def count_seen(self, bundle: Path) -> int:
        """Count the recordings that share a source with the training data of a bundle's encoder.

        Raises:
            DatasetError: The bundle has no list of its clips.
        """
        clips = self.clips.store.clips
        seen = trained_sources(bundle, clips)
        recordings = (clips[row] for row in self.clips.recordings)
        return sum(not seen.isdisjoint(sources(clip) | {clip.name}) for clip in recordings)

    def trials(
        self,
        n_references: int,
        *,
        conditions: Sequence[Condition] = CONDITIONS,
        against: Against = "others",
    ) -> DetectionTrials:
        """Pair the excerpts with references, see `make_trials`."""
        return make_trials(self.excerpts, n_references, conditions=conditions, against=against)

    def nuisances(self) -> Int64[np.ndarray, "pairs two"]:
        """Pair excerpts of the same sound that differ by level, codec or a shift alone."""
        plain = {
            (excerpt.recording, excerpt.start): number
            for number, excerpt in enumerate(self.excerpts)
            if excerpt.is_plain
        }
        pairs = [
            (number, plain[excerpt.recording, excerpt.start])
            for number, excerpt in enumerate(self.excerpts)
            if excerpt.condition != "plain" and excerpt.event is None
        ]
        return np.array(pairs, np.int64).reshape(-1, 2)


def build_dataset(data: Path, embedder: Embedder, cache: Path) -> DetectionDataset:
    """Draw the excerpts of a manifest and embed them, or read the embeddings from the cache.

    Args:
        data: The manifest.
        embedder: The encoder.
        cache: Folder of decoded audio and embeddings.

    Raises:
        DatasetError: The file is not a manifest, has too few recordings or events, or the encoder
            is not that of a bundle.
    """
    cutting = windowed(embedder)
    scene = load_scene("general")
    store = open_scene_store(data, scene, cache)
    clips = select_clips(store, scene)
    excerpts = draw_excerpts(clips, SEED)
    name = hash_parts(["changed", VERSION, SEED, hash_file(data).sha256])
    rows = embed_cached(
        cutting, lambda i: render_excerpt(store, excerpts[i]), len(excerpts), name, cache
    )
    parts = rows.reshape(len(excerpts), 1 + cutting.count(EXCERPT_SAMPLES), -1)
    return DetectionDataset(clips, excerpts, np.array(parts[:, 0]), parts[:, 1:])
