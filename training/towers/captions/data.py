"""Windows, targets and texts as tensors, and the batches that are drawn from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from training.towers.batches import Batch
from training.towers.captions.concepts import Concepts, caption_of
from training.towers.captions.loss import caption_loss
from training.towers.captions.targets import find_candidates, find_targets
from training.towers.captions.windows import CaptionSet, load_captions
from training.towers.networks import TowerNetwork, TowerNetworks, compose_query
from training.towers.text_cache import TextCache
from training.words.grammar import list_descriptions

BALANCE = 0.5
"""Balance of the draw: a concept counts with 1 / (its weight in all windows) ** BALANCE."""


@dataclass(frozen=True, slots=True)
class CaptionData:
    """Windows to train the towers on.

    Attributes:
        concepts: The concepts.
        windows: Embeddings, float32 [windows inputs]; raw, or normalised by the audio tower.
        weights: Targets, float32 [windows concepts].
        is_unsure: Pairs that are no negatives, bool [windows concepts].
        texts: Output of the text encoder, float32 [texts hidden].
        variants: Rows of ``texts`` that describe each concept.
        paths: File of each window's clip, as the manifest names it.
        recordings: Recording of each window; windows of one are on one side of a split.
        is_candidate: Texts that a sound of each label of the scenes is classified among: the
            labels, then the concepts, without those that may name the same sound; bool
            [labels, labels + concepts].
        shares: Probability of each window in a batch, float64 [windows].
    """

    concepts: Concepts
    windows: Float32[Tensor, "windows inputs"]
    weights: Float32[Tensor, "windows concepts"]
    is_unsure: Bool[Tensor, "windows concepts"]
    texts: Float32[Tensor, "texts hidden"]
    variants: list[Int64[np.ndarray, " variants"]]
    paths: list[str]
    recordings: list[str]
    is_candidate: Bool[Tensor, "labels named"]
    shares: Float64[np.ndarray, " windows"]

    @classmethod
    def load(cls, folder: Path, fingerprint: str, cache: TextCache, labels: Sequence[str]) -> Self:
        """Read a set of windows and weigh its concepts.

        Args:
            folder: Folder that ``minuend-train data captions`` wrote.
            fingerprint: Fingerprint of the encoder.
            cache: Embeds the texts.
            labels: Labels of the scenes.

        Raises:
            DatasetError: The set is missing, or was not embedded by this encoder.
        """
        captions = load_captions(folder, fingerprint)
        return cls.of(captions, concepts_of(captions), cache, labels)

    @classmethod
    def of(
        cls, captions: CaptionSet, concepts: Concepts, cache: TextCache, labels: Sequence[str]
    ) -> Self:
        """Weigh the concepts of windows, and embed the descriptions of every concept."""
        described = [list_descriptions(concept.names) for concept in concepts.concepts]
        texts = sorted({text for each in described for text in each})
        rows = {text: row for row, text in enumerate(texts)}
        variants = [np.array([rows[text] for text in each]) for each in described]
        embedded = cache.embed(texts)
        names = embedded[[each[0] for each in variants]]
        targets = find_targets(captions, concepts, names)
        frequency = np.maximum(targets.weights.sum(axis=0, dtype=np.float64), 1e-3)
        shares = (targets.weights / frequency**BALANCE).sum(axis=1)
        return cls(
            concepts=concepts,
            windows=torch.from_numpy(np.asarray(captions.embeddings, np.float32)),
            weights=torch.from_numpy(targets.weights),
            is_unsure=torch.from_numpy(targets.is_unsure),
            texts=torch.from_numpy(embedded),
            variants=variants,
            paths=[window.path for window in captions.windows],
            recordings=[window.recording for window in captions.windows],
            is_candidate=torch.from_numpy(find_candidates(concepts, names, labels)),
            shares=shares / shares.sum(),
        )

    @torch.no_grad()
    def normalised_by(self, tower: TowerNetwork) -> Self:
        """Normalise the embeddings by a tower."""
        return dataclasses.replace(self, windows=tower.normalise(self.windows))

    def select(self, rows: Int64[np.ndarray, " rows"]) -> Self:
        """Select windows."""
        chosen, shares = torch.from_numpy(rows), self.shares[rows]
        return dataclasses.replace(
            self,
            windows=self.windows[chosen],
            weights=self.weights[chosen],
            is_unsure=self.is_unsure[chosen],
            paths=[self.paths[row] for row in rows],
            recordings=[self.recordings[row] for row in rows],
            shares=shares / shares.sum(),
        )

    def draw_texts(self, rng: np.random.Generator) -> Float32[Tensor, "concepts hidden"]:
        """Draw one description of every concept."""
        rows = [int(each[rng.integers(len(each))]) for each in self.variants]
        return self.texts[rows]


def add_concepts(batch: Batch, data: CaptionData, rng: np.random.Generator) -> Batch:
    """Add a description of every concept to the texts that the sounds of a batch are named by."""
    texts = torch.cat([batch.label_texts, data.draw_texts(rng)])
    return dataclasses.replace(batch, label_texts=texts, is_candidate=data.is_candidate)


def draw_caption_loss(
    networks: TowerNetworks, data: CaptionData, batch_size: int, rng: np.random.Generator
) -> Tensor:
    """Draw windows and texts, and compute the loss on them.

    Args:
        networks: In training or in evaluation mode.
        data: Windows with normalised embeddings.
        batch_size: Number of windows; all of them, if there are fewer.
        rng: Draws.
    """
    n = min(batch_size, int((data.shares > 0).sum()))
    rows = torch.from_numpy(rng.choice(len(data.shares), n, replace=False, p=data.shares))
    sounds = compose_query(networks.audio.project(data.windows[rows]), None)
    texts = compose_query(None, networks.text(data.draw_texts(rng)))
    return caption_loss(sounds, texts, data.weights[rows], data.is_unsure[rows], networks.scale)


def concepts_of(captions: CaptionSet) -> Concepts:
    """List the concepts of a set of windows."""
    found = (caption_of(window.corpus, window.label) for window in captions.windows)
    return Concepts.of(captions.classes, [caption for caption in found if caption is not None])
