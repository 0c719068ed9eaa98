"""A validation part of the training side whose sources the rest of it does not share.

Choices between recipes are made here, so that the test side is seen by none of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from service.bundle.files import hash_file
from training.data.manifest import read_clips
from training.data.store import open_store
from training.errors import DatasetError
from training.scenes.draw import PAIRS_PER_BED, Plan, draw_pairs, list_events
from training.scenes.generate import MAX_UNREADABLE, Material, embed_set, open_encoder, render_pair
from training.scenes.load import EventRow, SceneSet
from training.scenes.pair import Background, Item, Pair, Source
from training.scenes.pool import Pool, build_pool, scene_clips
from training.scenes.render import StoredSounds
from training.scenes.scene import get_scene

FOLD = 4  # of the events that are held out
FEWEST_RECORDINGS = 4  # of a kind that some are held out of
SHARE = 1 / 4
SEED = 4
N_PAIRS = 1_000


def make_holdout(data: Path, bundle: Path, out: Path, cache: Path, n_pairs: int = N_PAIRS) -> None:
    """Render and embed pairs of held-out sources, or go on where a run stopped.

    They are of the general scene, permissive, with 50 pairs a bed as on a test side.

    Args:
        data: The manifest.
        bundle: Whose encoder embeds.
        out: Folder of the set, as ``minuend-train data scenes`` writes one.
        cache: Folder of decoded audio.
        n_pairs: How many pairs.

    Raises:
        DatasetError: The data does not give such pairs, or the folder holds another set.
        BundleError: The bundle cannot be used.
    """
    encoder = open_encoder(bundle)
    store = open_store(scene_clips(read_clips(data)), cache, MAX_UNREADABLE)
    # Beds as large as on a test side, so the plan says so; the sources are of the training side.
    plan = Plan(scene="general", side="test", n_pairs=n_pairs, seed=SEED, permissive=True)
    pool = hold_out_pool(build_pool(store, get_scene(plan.scene), "train", permissive=True))
    sounds = StoredSounds.of(store)
    material = Material(
        pairs=draw_pairs(pool, plan),
        events=[EventRow(path=e.path, label=e.label, fold=e.fold) for e in list_events(pool)],
        render_pair=lambda pair: render_pair(pair, sounds),
        render_event=lambda event: store.clip(sounds.rows[event.path]),
    )
    about = asdict(plan) | {"side": "train", "manifest_sha256": hash_file(data).sha256}
    about["pairs_per_bed"] = PAIRS_PER_BED[plan.side]
    embed_set(material, [encoder], out, about | {"only": f"fold {FOLD}, held-out recordings"})


def hold_out_pool(pool: Pool) -> Pool:
    """Keep the events of fold 4, and a quarter of the recordings of kinds that have four or more.

    Raises:
        DatasetError: Nothing is left.
    """
    events = {
        label: [event for event in events if event.fold == FOLD]
        for label, events in pool.events.items()
    }
    backgrounds = {kind: _held_out(cuts) for kind, cuts in pool.backgrounds.items()}
    held = Pool(
        scene=pool.scene,
        events={label: members for label, members in events.items() if members},
        backgrounds={kind: cuts for kind, cuts in backgrounds.items() if len(cuts) >= 2},
    )
    if not held.events or not held.backgrounds:
        raise DatasetError(
            f"nothing can be held out: there must be events of fold {FOLD}, and a kind of "
            f"background with {FEWEST_RECORDINGS} recordings"
        )
    return held


def without_sources(scenes: SceneSet, held: SceneSet) -> SceneSet:
    """Keep the pairs and events that share no file with a held-out set."""
    closed = {item.path for pair in held.pairs for item in _items(pair)}
    closed |= {row.path for row in held.event_rows}
    rows = [
        row
        for row, pair in enumerate(scenes.pairs)
        if closed.isdisjoint(item.path for item in _items(pair))
    ]
    kept = [row for row, event in enumerate(scenes.event_rows) if event.path not in closed]
    moved = {old: new for new, old in enumerate(kept)}
    return SceneSet(
        pairs=[_renumber(scenes.pairs[row], moved) for row in rows],
        query=np.asarray(scenes.query)[rows],
        target=np.asarray(scenes.target)[rows],
        events=np.asarray(scenes.events)[kept],
        event_rows=[scenes.event_rows[row] for row in kept],
    )


def _held_out(cuts: Sequence[Background]) -> list[Background]:
    recordings = sorted({cut.recording for cut in cuts}, key=_hash)
    n_held = round(SHARE * len(recordings)) if len(recordings) >= FEWEST_RECORDINGS else 0
    return [cut for cut in cuts if cut.recording in recordings[:n_held]]


def _renumber(pair: Pair, moved: dict[int, int]) -> Pair:
    sources = {
        label: Source(path=source.path, row=moved[source.row])
        for label, source in pair.sources.items()
    }
    return Pair(**{name: getattr(pair, name) for name in Pair.__slots__} | {"sources": sources})


def _items(pair: Pair) -> list[Item]:
    return [*pair.query.items, *pair.target.items]


def _hash(recording: str) -> str:
    return hashlib.sha256(recording.encode()).hexdigest()
