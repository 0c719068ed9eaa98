"""Training pairs whose target has another recording of the same kind of background.

They are made of clips that were rendered for other pairs, so they cost no rendering.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, zip_longest

import numpy as np
from jaxtyping import Bool, Int64

from training.scenes.load import SceneSet
from training.scenes.pair import Item
from training.towers.recordings import ClipRecordings
from training.towers.training_pairs import (
    LEAST_STEP_DB,
    TrainingPair,
    added_items,
    clip_at,
    event_rows,
    find_change,
    make_pair,
)

Added = Mapping[int, Sequence[Item]]


def list_pairs_across_recordings(
    scenes: SceneSet, recordings: ClipRecordings, per_pair: int, seed: int
) -> list[TrainingPair]:
    """Pair clips that differ by one sound and share a kind of background, but no recording.

    Where there are more than are asked for, added and removed events, changes of the background
    and changes of level are drawn alike often; the direction of each pair is drawn, too.

    Args:
        scenes: The set.
        recordings: The recordings of its clips.
        per_pair: Largest number of such pairs for each rendered pair, by kind of background.
        seed: Draws them.
    """
    if not per_pair:
        return []
    events = event_rows(scenes)
    pairs = []
    for number, rows in enumerate(recordings.rows.values()):
        rng = np.random.default_rng([seed, number])
        added = {int(row): added_items(clip_at(scenes, int(row))) for row in rows}
        simple = np.array([row for row in rows if len(added[int(row)]) <= 1], np.int64)
        fitting = _list_fitting(simple, added, recordings.share_none(simple, simple))
        for one, two in islice(_alternate(fitting, rng), per_pair * (len(rows) // 2)):
            query, target = (one, two) if rng.random() < 0.5 else (two, one)
            change = find_change(added[query], added[target])
            assert change is not None
            ids = recordings.background_ids
            background_ids = (int(ids[query]), int(ids[target]))
            pairs.append(make_pair(background_ids, (query, target), change, events))
    return pairs


def _list_fitting(
    rows: Int64[np.ndarray, " rows"], added: Added, is_other: Bool[np.ndarray, "rows rows"]
) -> list[Int64[np.ndarray, "pairs 2"]]:
    """List the clips that fit each other, by kind of change; every two of them once."""
    sounds = [next(iter(added[int(row)]), None) for row in rows]
    role = np.array(["" if sound is None else sound.role for sound in sounds])
    label = np.array(["" if sound is None else sound.label for sound in sounds])
    level_db = np.array([0.0 if sound is None else sound.snr_db for sound in sounds])
    is_clean, is_event = role == "", role == "event"
    has_step = np.abs(level_db[:, None] - level_db[None, :]) >= LEAST_STEP_DB
    has_same = (label[:, None] == label[None, :]) & is_event[:, None] & is_event[None, :]
    masks = (
        is_clean[:, None] & is_event[None, :] & is_other,
        is_clean[:, None] & (role == "more")[None, :] & is_other,
        np.triu(has_same & has_step & is_other),
    )
    return [rows[np.argwhere(mask)] for mask in masks]


def _alternate(
    lists: Sequence[Int64[np.ndarray, "pairs 2"]], rng: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """Yield the rows of shuffled lists in turn; a list that is empty is left out."""
    for turn in zip_longest(*(pairs[rng.permutation(len(pairs))] for pairs in lists)):
        for pair in turn:
            if pair is not None:
                yield int(pair[0]), int(pair[1])
