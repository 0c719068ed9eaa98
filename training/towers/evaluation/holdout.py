"""Held-out sources of the training side, on which recipes of towers are compared.

No training pair shares a source with them, and the test side has no part in the comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from service.bundle.files import hash_file
from training.data.splits import hash_recording
from training.errors import DatasetError
from training.scenes.draw import PAIRS_PER_BACKGROUND, PairPlan, draw_pairs
from training.scenes.generate import (
    embed_set,
    open_scene_encoder,
    open_scene_store,
    plan_rendering,
)
from training.scenes.load import SceneSet
from training.scenes.pair import Background, Pair
from training.scenes.pool import ScenePool, build_pool
from training.scenes.recipe import SceneRecipe

FEWEST_RECORDINGS = 4  # of a kind of which some are held out
SHARE = 1 / 4
SEED = 4
N_PAIRS = 1_000


def make_holdout(
    data: Path,
    scene: SceneRecipe,
    bundle: Path,
    out: Path,
    cache: Path,
    other_recordings: float = 0.0,
) -> None:
    """Render and embed pairs of held-out sources, or continue a stopped run.

    The clips are permissive, and 50 pairs share their backgrounds, as on a test side.

    Args:
        data: The manifest.
        scene: The scene.
        bundle: Bundle with the encoder.
        out: Folder of the set, in the format of ``minuend-train data scenes``.
        cache: Folder of decoded audio.
        other_recordings: Share of the pairs whose target has other recordings of the same kind as
            backgrounds, 0 to 1.

    Raises:
        DatasetError: The data does not give such pairs, or the folder holds another set.
        BundleError: The bundle cannot be used.
    """
    encoder = open_scene_encoder(bundle)
    store = open_scene_store(data, scene, cache)
    # The side of the plan sets how many pairs share their backgrounds; the sources are those of
    # the training side.
    plan = PairPlan(
        scene=scene.name,
        side="test",
        n_pairs=N_PAIRS,
        seed=SEED,
        permissive=True,
        other_recordings=other_recordings,
    )
    pool = hold_out_pool(build_pool(store, scene, "train", permissive=True))
    about = plan.to_dict() | {"side": "train", "manifest_sha256": hash_file(data).sha256}
    about |= {
        "pairs_per_bed": PAIRS_PER_BACKGROUND[plan.side],
        "only": f"{_condition(scene)}, held-out recordings",
    }
    embed_set(plan_rendering(store, pool, draw_pairs(pool, plan)), [encoder], out, about)


def hold_out_pool(pool: ScenePool) -> ScenePool:
    """Select the held-out events, and a quarter of the recordings of kinds with four or more.

    Raises:
        DatasetError: Nothing is left.
    """
    events = {
        label: [event for event in events if event.is_held_out]
        for label, events in pool.events.items()
    }
    backgrounds = {kind: _hold_out(members) for kind, members in pool.backgrounds.items()}
    held_out = replace(
        pool,
        events={label: members for label, members in events.items() if members},
        backgrounds={kind: members for kind, members in backgrounds.items() if len(members) >= 2},
    )
    if not held_out.events or not held_out.backgrounds:
        raise DatasetError(
            f"nothing can be held out: there must be events of {_condition(pool.scene)}, and a "
            f"kind of background with {FEWEST_RECORDINGS} recordings"
        )
    return held_out


def without_sources(scenes: SceneSet, held_out: SceneSet) -> SceneSet:
    """Select the pairs and events that share no file with a held-out set."""
    files = {item.path for pair in held_out.pairs for item in pair.items}
    files |= {row.path for row in held_out.event_rows}
    rows = [
        row
        for row, pair in enumerate(scenes.pairs)
        if files.isdisjoint(item.path for item in pair.items)
    ]
    event_rows = [row for row, event in enumerate(scenes.event_rows) if event.path not in files]
    new_rows = {old: new for new, old in enumerate(event_rows)}
    return SceneSet(
        pairs=[_renumber(scenes.pairs[row], new_rows) for row in rows],
        query=np.asarray(scenes.query)[rows],
        target=np.asarray(scenes.target)[rows],
        events=np.asarray(scenes.events)[event_rows],
        event_rows=[scenes.event_rows[row] for row in event_rows],
    )


def _condition(scene: SceneRecipe) -> str:
    """Write the condition of held-out events: "fold 4"."""
    return ", ".join(f"{column} {value}" for column, value in scene.events.held_out.items())


def _hold_out(backgrounds: Sequence[Background]) -> list[Background]:
    recordings = sorted({background.recording for background in backgrounds}, key=hash_recording)
    n = round(SHARE * len(recordings)) if len(recordings) >= FEWEST_RECORDINGS else 0
    return [background for background in backgrounds if background.recording in recordings[:n]]


def _renumber(pair: Pair, new_rows: dict[int, int]) -> Pair:
    sources = {
        label: replace(source, row=new_rows[source.row]) for label, source in pair.sources.items()
    }
    return replace(pair, sources=sources)
