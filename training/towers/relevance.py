"""Graded relevance: how well the targets of other pairs fulfil the request of a pair.

The relevance of target j for query i is `r ** d`, with r the relevance of the recipe, 0 to 1:

- d = 0 for the own target;
- d = 1 for another clip that has the same sounds as the own target, over the same recordings, and
  fulfils every change;
- d = 2 for such a clip over other recordings of the same kind of background;
- one less each, but not below 0, where the own target itself is over other recordings.

All other clips have relevance 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from training.scenes.changes import SIGNS
from training.scenes.load import SceneSet
from training.towers.recordings import ClipRecordings
from training.towers.references import composition
from training.towers.training_pairs import TrainingPair, added_items, clip_at

MAX_CHANGES = 2


@dataclass(frozen=True, slots=True)
class ClipContents:
    """Sounds of the clips of a set, and changes of the pairs.

    Attributes:
        sounds: Number of the kind of background and the other sounds of each clip; clips with the
            same ones have the same number, int64 [clips].
        backgrounds: Number of the two backgrounds of each clip, int64 [clips].
        levels: Level of each label that was added to the backgrounds [LU], -inf where there is
            none, float32 [clips labels].
        labels: Labels that each pair changes, 0 where there are fewer, int64 [pairs changes].
        signs: 1 where the target has more of the label, -1 where it has less, 0 where there is no
            change, float32 [pairs changes].
    """

    sounds: Int64[Tensor, " clips"]
    backgrounds: Int64[Tensor, " clips"]
    levels: Float32[Tensor, "clips labels"]
    labels: Int64[Tensor, "pairs changes"]
    signs: Float32[Tensor, "pairs changes"]

    @classmethod
    def of(
        cls,
        scenes: SceneSet,
        recordings: ClipRecordings,
        pairs: Sequence[TrainingPair],
        labels: Sequence[str],
    ) -> Self:
        """Collect the contents of all clips; `labels` are those of the vocabulary."""
        column = {label: i for i, label in enumerate(labels)}
        n_clips = 2 * len(scenes.pairs)
        numbers: dict[object, int] = {}
        sounds = torch.zeros(n_clips, dtype=torch.int64)
        levels = torch.full((n_clips, len(labels)), -torch.inf)
        for kind, rows in recordings.rows.items():
            for row in map(int, rows):
                clip = clip_at(scenes, row)
                sounds[row] = numbers.setdefault((kind, composition(clip)), len(numbers))
                for item in added_items(clip):
                    level = max(float(levels[row, column[item.label]]), item.snr_db)
                    levels[row, column[item.label]] = level
        changed = torch.zeros((len(pairs), MAX_CHANGES), dtype=torch.int64)
        signs = torch.zeros((len(pairs), MAX_CHANGES))
        for row, pair in enumerate(pairs):
            for i, change in enumerate(pair.changes):
                changed[row, i], signs[row, i] = column[change.label], SIGNS[change.kind]
        backgrounds = torch.from_numpy(recordings.background_ids)
        return cls(sounds, backgrounds, levels, changed, signs)

    def grade(
        self,
        clips: tuple[Int64[Tensor, " batch"], Int64[Tensor, " batch"]],
        pairs: Int64[Tensor, " batch"],
        is_reversed: Int64[Tensor, " batch"],
        relevance: float,
    ) -> Float32[Tensor, "batch batch"]:
        """Grade the targets of a batch for every query of it.

        Args:
            clips: Rows of the queries and of the targets.
            pairs: Rows of the pairs.
            is_reversed: 1 where a pair is reversed, else 0.
            relevance: The relevance r of the recipe.
        """
        query, target = clips
        is_other = self.backgrounds[query][:, None] != self.backgrounds[target][None, :]
        steps = 1 + is_other.int() - is_other.diagonal().int()[:, None]
        own = torch.eye(len(query), dtype=torch.bool) | (target[:, None] == target[None, :])
        steps = torch.where(own, 0, steps.clamp(min=0))
        is_alike = self.sounds[target][:, None] == self.sounds[target][None, :]
        fulfils = is_alike & self._fulfils(query, target, pairs, is_reversed)
        graded = torch.tensor(relevance) ** steps
        return torch.where(own | fulfils, graded, 0.0).float()

    def _fulfils(
        self,
        query: Int64[Tensor, " batch"],
        target: Int64[Tensor, " batch"],
        pairs: Int64[Tensor, " batch"],
        is_reversed: Int64[Tensor, " batch"],
    ) -> Tensor:
        """Tell which targets have every change of each pair, bool [batch batch]."""
        fulfilled = torch.ones(len(query), len(query), dtype=torch.bool)
        signs = self.signs[pairs] * (1 - 2 * is_reversed)[:, None]
        for i in range(MAX_CHANGES):
            label, sign = self.labels[pairs, i], signs[:, i]
            before = self.levels[query, label]
            after = self.levels[target][:, label].T
            step = sign[:, None] * (after - before[:, None])
            fulfilled &= (step > 0) | (sign == 0)[:, None]
        return fulfilled
