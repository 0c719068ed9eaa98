"""Scenes with known changes: what was added or removed, when, and how loud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.retrieval.change_calibration import CHANGES, What
from training.scenes.draw import PAIRS_PER_BACKGROUND, PairPlan, draw_pairs
from training.scenes.pair import Clip, Item, Pair
from training.scenes.pool import ScenePool
from training.scenes.recipe import Side

SEED = 7
MOST_DRAWS = 2000


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
    """Draw scenes of every change, the same number of each, over many backgrounds.

    Args:
        pool: Backgrounds and events.
        side: The side of the pool.
        n_each: Scenes of each change.
    """
    drawn: dict[What, list[ChangedScene]] = {change: [] for change in CHANGES}
    for number in range(MOST_DRAWS):
        for scene in _one_of_each(pool, side, number):
            if len(drawn[scene.change]) < n_each:
                drawn[scene.change].append(scene)
        if all(len(scenes) == n_each for scenes in drawn.values()):
            break
    return [scene for scenes in drawn.values() for scene in scenes]


def _one_of_each(pool: ScenePool, side: Side, number: int) -> list[ChangedScene]:
    """Return the first scene of each change over two backgrounds, as far as there is one."""
    found: dict[What, ChangedScene] = {}
    plan = PairPlan(
        scene=pool.scene.name,
        side=side,
        n_pairs=PAIRS_PER_BACKGROUND[side],
        seed=SEED + number,
        permissive=False,
    )
    for pair in draw_pairs(pool, plan):
        kinds = sorted(change.kind for change in pair.changes)
        if kinds in (["add"], ["remove"], ["add", "remove"]):
            added, removed = _event(pair.target.items), _event(pair.query.items)
            change = CHANGES[bool(added) + 2 * bool(removed)]
            scene = ChangedScene(pair, change, added, removed)
            found.setdefault(change, scene)
            found.setdefault("nothing", _without_events(scene))
    return list(found.values())


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
