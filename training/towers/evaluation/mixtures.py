"""Mixtures of an event over backgrounds, to test the phrases for a difference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.bundle.files import hash_file
from training.errors import DatasetError
from training.scenes.draw import PairPlan, draw_pairs
from training.scenes.generate import (
    embed_set,
    open_scene_encoder,
    open_scene_store,
    plan_rendering,
)
from training.scenes.pair import Pair
from training.scenes.pool import build_pool
from training.scenes.recipe import SceneRecipe

N_MIXTURES = 500
DRAWN_PER_MIXTURE = 40  # about one pair in ten is of the kind
SEED = 500  # differs from the seed of the pairs that retrieval is tested on


def make_mixtures(
    data: Path,
    scene: SceneRecipe,
    bundle: Path,
    out: Path,
    cache: Path,
    other_recordings: float = 0.0,
) -> None:
    """Render and embed mixtures of the test side, or continue a stopped run.

    The target of each pair is the mixture; its query, another excerpt of the same backgrounds (or
    of other recordings of the same kind) without the event, is the reference. The event has 0 to
    12 LU over each of the two backgrounds, as in every pair (``training.scenes.draw``).

    Args:
        data: The manifest.
        scene: The scene.
        bundle: Bundle with the encoder.
        out: Folder of the set, in the format of ``minuend-train data scenes``.
        cache: Folder of decoded audio.
        other_recordings: Share of the pairs whose target has other recordings of the same kind as
            backgrounds, 0 to 1.

    Raises:
        DatasetError: The data does not give so many, or the folder holds another set.
        BundleError: The bundle cannot be used.
    """
    encoder = open_scene_encoder(bundle)
    store = open_scene_store(data, scene, cache)
    plan = PairPlan(
        scene=scene.name,
        side="test",
        n_pairs=DRAWN_PER_MIXTURE * N_MIXTURES,
        seed=SEED,
        permissive=False,
        other_recordings=other_recordings,
    )
    pool = build_pool(store, scene, plan.side, permissive=plan.permissive)
    rendering = plan_rendering(store, pool, choose_mixtures(draw_pairs(pool, plan), N_MIXTURES))
    about = plan.to_dict() | {"n_pairs": N_MIXTURES, "manifest_sha256": hash_file(data).sha256}
    embed_set(rendering, [encoder], out, about | {"only": "one event added"})


def choose_mixtures(pairs: Sequence[Pair], n: int) -> list[Pair]:
    """Select pairs whose one change is an added event, in order.

    Each class gets at most its share of the mixtures, rounded up.

    Raises:
        DatasetError: There are too few.
    """
    added = [p for p in pairs if [change.kind for change in p.changes] == ["add"]]
    classes = {pair.changes[0].label for pair in added}
    left = dict.fromkeys(classes, -(-n // max(len(classes), 1)))
    chosen: list[Pair] = []
    for pair in added:
        label = pair.changes[0].label
        if left[label] and len(chosen) < n:
            left[label] -= 1
            chosen.append(pair)
    if len(chosen) < n:
        raise DatasetError(f"there are {len(chosen)} mixtures of one added event, not {n}")
    return chosen
