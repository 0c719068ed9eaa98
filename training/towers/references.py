"""References over other recordings than the mixture, for the loss on differences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from training.scenes.load import SceneSet
from training.scenes.pair import Clip
from training.towers.recipe import ReferencesRecipe
from training.towers.recordings import ClipRecordings
from training.towers.training_pairs import TrainingPair, added_items, clip_at

NONE = -1
CANDIDATES = 8  # references of one mixture


def composition(clip: Clip) -> tuple[tuple[str, str], ...]:
    """List what a clip has besides its backgrounds: role and label of each sound, sorted."""
    return tuple(sorted((item.role, item.label) for item in added_items(clip)))


def list_references(
    scenes: SceneSet, recordings: ClipRecordings, pairs: Sequence[TrainingPair], seed: int
) -> Int64[np.ndarray, "pairs 2 candidates"]:
    """List clips that may be subtracted from the target of a pair instead of its query.

    They have the kind of background and the other sounds of the query, and share no recording with
    the target. Only pairs with an added event have them: subtracting one recording from more of
    another leaves no certain sound.

    Args:
        scenes: The set.
        recordings: The recordings of its clips.
        pairs: The pairs; the second entry of each row is of the reversed pair.
        seed: Draws up to 8 clips for each.

    Returns:
        Rows of clips; -1 where there are fewer than 8.
    """
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[int]] = defaultdict(list)
    keys = {}
    for kind, rows in recordings.rows.items():
        for row in rows:
            keys[int(row)] = (kind, composition(clip_at(scenes, int(row))))
            groups[keys[int(row)]].append(int(row))
    table = np.full((len(pairs), 2, CANDIDATES), NONE)
    rng = np.random.default_rng([seed, CANDIDATES])
    for row, pair in enumerate(pairs):
        for direction, directed in enumerate((pair, pair.reversed)):
            if not any(change.kind == "add" for change in directed.changes):
                continue
            alike = np.array(groups[keys[directed.query]])
            fitting = alike[recordings.share_none(alike, [directed.target])[:, 0]]
            chosen = rng.permutation(fitting)[:CANDIDATES]
            table[row, direction, : len(chosen)] = chosen
    return table


def draw_references(
    query: Float32[Tensor, "batch inputs"],
    clips: Float32[Tensor, "clips inputs"],
    candidates: Int64[np.ndarray, "batch candidates"],
    recipe: ReferencesRecipe,
    rng: np.random.Generator,
) -> Float32[Tensor, "batch inputs"]:
    """Replace a share of the queries, as references, by means of clips over other recordings.

    Args:
        query: Embeddings of the queries.
        clips: Embeddings of all clips.
        candidates: Rows of clips, or -1.
        recipe: The share, and the largest number of clips of a mean; nothing is drawn at share 0.
        rng: Draws.
    """
    if not recipe.other_recordings:
        return query
    n_candidates = (candidates != NONE).sum(axis=1)
    is_replaced = (rng.random(len(candidates)) < recipe.other_recordings) & (n_candidates > 0)
    references = query.clone()
    for row in np.flatnonzero(is_replaced):
        n = min(int(rng.integers(1, recipe.most + 1)), int(n_candidates[row]))
        chosen = rng.choice(candidates[row, : n_candidates[row]], n, replace=False)
        references[row] = clips[torch.from_numpy(chosen)].mean(dim=0)
    return references
