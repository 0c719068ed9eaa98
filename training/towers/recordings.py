"""Clips of a set over other recordings of the same kind of background."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Int64

from training.scenes.load import SceneSet
from training.towers.training_pairs import clip_at

NOT_OF_BACKGROUND = "event"


@dataclass(frozen=True, slots=True)
class ClipRecordings:
    """The background of every clip of a set; clips 2i and 2i + 1 are those of pair i.

    Attributes:
        background_ids: Number of the backgrounds of each clip, int64 [clips].
        rows: Rows of the clips over each kind of background.
        uses: Which recordings are heard in each clip, bool [clips recordings].
    """

    background_ids: Int64[np.ndarray, " clips"]
    rows: Mapping[str, Int64[np.ndarray, " rows"]]
    uses: Bool[np.ndarray, "clips recordings"]

    @classmethod
    def of(cls, scenes: SceneSet) -> Self:
        """Collect the kinds and recordings of all clips."""
        recording_of = {
            background.path: background.recording
            for pair in scenes.pairs
            for background in (*pair.backgrounds, *(pair.target_backgrounds or ()))
        }
        columns: dict[str, int] = {}
        used: list[list[int]] = []
        rows: dict[str, list[int]] = defaultdict(list)
        for row in range(2 * len(scenes.pairs)):
            paths = {i.path for i in clip_at(scenes, row).items if i.role != NOT_OF_BACKGROUND}
            names = sorted({recording_of.get(path, path) for path in paths})
            used.append([columns.setdefault(name, len(columns)) for name in names])
            rows[scenes.pairs[row // 2].backgrounds[0].kind].append(row)
        uses = np.zeros((len(used), len(columns)), np.bool_)
        for row, recordings in enumerate(used):
            uses[row, recordings] = True
        return cls(
            background_ids=np.array([n for pair in scenes.pairs for n in pair.background_ids]),
            rows={kind: np.array(members) for kind, members in sorted(rows.items())},
            uses=uses,
        )

    def share_none(
        self, rows: Int64[np.ndarray, " rows"], others: Sequence[int] | Int64[np.ndarray, " others"]
    ) -> Bool[np.ndarray, "rows others"]:
        """Tell which clips share no recording with which others."""
        counts = self.uses[rows].astype(np.float32) @ self.uses[others].T.astype(np.float32)
        disjoint: np.ndarray = counts == 0
        return disjoint
