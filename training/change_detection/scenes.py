"""Scenes with known changes: what was added or removed, when, and how loud."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from service.retrieval.change_calibration import CHANGES, What
from training.scenes.draw import PairPlan, draw_pairs
from training.scenes.pair import Clip, Item, Pair
from training.scenes.pool import ScenePool
from training.scenes.recipe import Side

SEED = 7
BATCH = 200
MOST_BATCHES = 100


@dataclass(frozen=True, slots=True)
class ChangedScene:
    """A mixture and a reference with the same two backgrounds in other excerpts.

    Attributes:
        pair: The query is the reference, the target is the mixture.
        change: What changed from the reference to the mixture.
        added: The event of the mixture alone.
        removed: The event of the reference alone.
    """

    pair: Pair
    change: What
    added: Item | None
    removed: Item | None


def draw_scenes(pool: ScenePool, side: Side, n_each: int) -> list[ChangedScene]:
    """Draw scenes of every change, the same number of each.

    Args:
        pool: Backgrounds and events.
        side: The side of the pool.
        n_each: Scenes of each change.
    """
    drawn: dict[What, list[ChangedScene]] = {change: [] for change in CHANGES}
    for scene in _all_scenes(pool, side):
        if len(drawn[scene.change]) < n_each:
            drawn[scene.change].append(scene)
        if len(drawn["nothing"]) < n_each:
            drawn["nothing"].append(_without_events(scene))
        if all(len(scenes) == n_each for scenes in drawn.values()):
            break
    return [scene for scenes in drawn.values() for scene in scenes]


def _all_scenes(pool: ScenePool, side: Side) -> Iterator[ChangedScene]:
    """Yield the drawn pairs that add or remove one event, or both."""
    for batch in count():
        if batch == MOST_BATCHES:
            return
        plan = PairPlan(
            scene=pool.scene.name, side=side, n_pairs=BATCH, seed=SEED + batch, permissive=False
        )
        for pair in draw_pairs(pool, plan):
            kinds = sorted(change.kind for change in pair.changes)
            if kinds in (["add"], ["remove"], ["add", "remove"]):
                added, removed = _event(pair.target.items), _event(pair.query.items)
                number = bool(added) + 2 * bool(removed)
                yield ChangedScene(pair, CHANGES[number], added, removed)


def _event(items: Sequence[Item]) -> Item | None:
    return next((item for item in items if item.role == "event"), None)


def _without_events(scene: ChangedScene) -> ChangedScene:
    pair = replace(
        scene.pair, query=_backgrounds(scene.pair.query), target=_backgrounds(scene.pair.target)
    )
    return ChangedScene(pair, "nothing", None, None)


def _backgrounds(clip: Clip) -> Clip:
    items = tuple(item for item in clip.items if item.role == "background")
    return Clip(items=items, labels=clip.labels[:1])
