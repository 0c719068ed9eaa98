from __future__ import annotations

import numpy as np
import tiny_pairs
import torch

from training.towers.recipe import ReferencesRecipe
from training.towers.recordings import ClipRecordings
from training.towers.references import NONE, composition, draw_references, list_references
from training.towers.training_pairs import clip_at, list_training_pairs

SCENES = tiny_pairs.make(6, 12, 5)
PAIRS = list_training_pairs(SCENES, 0, 0)
TABLE = list_references(SCENES, ClipRecordings.of(SCENES), PAIRS, 0)


def test_a_reference_is_like_the_query_over_other_recordings_than_the_target() -> None:
    n = 0
    for row, pair in enumerate(PAIRS):
        for direction, directed in enumerate((pair, pair.reversed)):
            query, target = clip_at(SCENES, directed.query), clip_at(SCENES, directed.target)
            used = {item.path for item in target.items if item.role != "event"}
            for found in TABLE[row, direction][TABLE[row, direction] != NONE]:
                clip = clip_at(SCENES, int(found))
                assert clip.labels[0] == query.labels[0]
                assert composition(clip) == composition(query)
                assert used.isdisjoint(item.path for item in clip.items if item.role != "event")
                n += 1
    assert n > 100


def test_only_an_added_event_has_references() -> None:
    for row, pair in enumerate(PAIRS):
        for direction, directed in enumerate((pair, pair.reversed)):
            if not any(change.kind == "add" for change in directed.changes):
                assert (TABLE[row, direction] == NONE).all()


def test_a_share_of_the_queries_is_replaced_by_means_of_candidates() -> None:
    clips = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    query = clips[:1].repeat(400, 1)
    candidates = np.full((400, 3), NONE)
    candidates[:300] = [4, 5, 6]
    recipe = ReferencesRecipe(other_recordings=0.5, most=2)
    found = draw_references(query, clips, candidates, recipe, np.random.default_rng(0))
    kept = (found == query).all(dim=1)
    assert kept[300:].all()
    assert 0.4 < float(kept[:300].float().mean()) < 0.6
    allowed = [clips[i] for i in (4, 5, 6)]
    allowed += [clips[[i, j]].mean(dim=0) for i, j in ((4, 5), (4, 6), (5, 6))]
    used = {
        next(n for n, it in enumerate(allowed) if torch.allclose(row, it, atol=1e-6))
        for row in found[~kept]
    }
    assert used == set(range(6))


def test_without_a_share_nothing_is_drawn() -> None:
    rng = np.random.default_rng(0)
    query = torch.ones(3, 4)
    candidates = np.zeros((3, 2), np.int64)
    assert draw_references(query, query, candidates, ReferencesRecipe(), rng) is query
    assert rng.random() == np.random.default_rng(0).random()
