"""Mixtures that the phrases for a difference are tested on: an event over a background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from service.bundle.files import hash_file
from training.data.manifest import read_clips
from training.data.store import open_store
from training.errors import DatasetError
from training.scenes.draw import Plan, draw_pairs, list_events
from training.scenes.generate import MAX_UNREADABLE, Material, embed_set, open_encoder, render_pair
from training.scenes.load import EventRow
from training.scenes.pair import Pair
from training.scenes.pool import build_pool, scene_clips
from training.scenes.render import StoredSounds
from training.scenes.scene import get_scene

MIXTURES = 500
DRAWN_FOR_ONE = 40  # pairs that are drawn for each that is kept; about one in ten is of the kind
SEED = 500  # another one than that of the pairs that retrieval is tested on


def make_mixtures(data: Path, bundle: Path, out: Path, cache: Path, n: int = MIXTURES) -> None:
    """Render and embed mixtures of the general test side, or go on where a run stopped.

    The target of each pair is the mixture; its query, another excerpt of the same backgrounds
    without the event, is the reference. The event stands 0 to 12 LU over each of the two
    backgrounds, as in every pair (``training.scenes.draw``).

    Args:
        data: The manifest.
        bundle: Whose encoder embeds.
        out: Folder of the set, as ``minuend-train data scenes`` writes one.
        cache: Folder of decoded audio.
        n: How many mixtures.

    Raises:
        DatasetError: The data does not give so many, or the folder holds another set.
        BundleError: The bundle cannot be used.
    """
    encoder = open_encoder(bundle)
    store = open_store(scene_clips(read_clips(data)), cache, MAX_UNREADABLE)
    plan = Plan(
        scene="general", side="test", n_pairs=DRAWN_FOR_ONE * n, seed=SEED, permissive=False
    )
    pool = build_pool(store, get_scene(plan.scene), plan.side, permissive=plan.permissive)
    sounds = StoredSounds.of(store)
    material = Material(
        pairs=choose_mixtures(draw_pairs(pool, plan), n),
        events=[EventRow(path=e.path, label=e.label, fold=e.fold) for e in list_events(pool)],
        render_pair=lambda pair: render_pair(pair, sounds),
        render_event=lambda event: store.clip(sounds.rows[event.path]),
    )
    about = asdict(plan) | {"n_pairs": n, "manifest_sha256": hash_file(data).sha256}
    embed_set(material, [encoder], out, about | {"only": "one event added"})


def choose_mixtures(pairs: Sequence[Pair], n: int) -> list[Pair]:
    """Keep the pairs whose one change is an added event, spread over beds and classes.

    The pairs are taken bed by bed in turns, and of each class at most its share, rounded up.

    Raises:
        DatasetError: There are not so many.
    """
    added = [p for p in pairs if [change.kind for change in p.changes] == ["add"]]
    classes = {pair.changes[0].label for pair in added}
    left = dict.fromkeys(classes, -(-n // max(len(classes), 1)))
    kept: list[Pair] = []
    for pair in added:
        label = pair.changes[0].label
        if left[label] and len(kept) < n:
            left[label] -= 1
            kept.append(pair)
    if len(kept) < n:
        raise DatasetError(f"there are {len(kept)} mixtures of one added event, not {n}")
    return kept
