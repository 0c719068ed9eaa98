"""Pairs of clips to train on: those that were rendered, and further ones across them.

All clips with one background id have the same two backgrounds. Two of them that differ by one
sound are as good a pair as one that was rendered. Two clips over other recordings of the same kind
that differ by one sound are a pair whose target has another recording
(`training.towers.other_recordings`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.scenes.changes import Change, ChangeKind
from training.scenes.load import SceneSet
from training.scenes.pair import ChangeSource, Clip, Item

LEAST_STEP_DB = 6.0  # between two levels of an event, as in rendered pairs


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """Two clips over the same kind of background, and the changes from one to the other.

    Attributes:
        background_ids: Numbers of the two backgrounds of the query and of the target; they are the
            same unless the target has other recordings.
        query: Row of the first clip; pair i of a set has the clips 2i, its query, and 2i + 1.
        target: Row of the second clip.
        changes: Changes from query to target.
        sources: Clean event of each change of an event, by its label.
    """

    background_ids: tuple[int, int]
    query: int
    target: int
    changes: tuple[Change, ...]
    sources: Mapping[str, ChangeSource]

    @property
    def reversed(self) -> TrainingPair:
        """The pair from the target to the query."""
        changes = tuple(change.inverse for change in self.changes)
        return replace(
            self,
            background_ids=self.background_ids[::-1],
            query=self.target,
            target=self.query,
            changes=changes,
        )


def list_training_pairs(scenes: SceneSet, crossed: int, seed: int) -> list[TrainingPair]:
    """List the rendered pairs of a set, then pairs made across them over the same backgrounds.

    Args:
        scenes: The set.
        crossed: Largest number of pairs made across, for each rendered pair.
        seed: Draws them where there are more.
    """
    pairs = [
        TrainingPair(pair.background_ids, 2 * i, 2 * i + 1, pair.changes, pair.sources)
        for i, pair in enumerate(scenes.pairs)
    ]
    if not crossed:
        return pairs
    events = event_rows(scenes)
    groups: dict[int, list[int]] = defaultdict(list)
    for i, pair in enumerate(scenes.pairs):
        if pair.target_background_id is None:
            groups[pair.background_id].append(i)
    for background_id, members in groups.items():
        clips = {row: clip_at(scenes, row) for i in members for row in (2 * i, 2 * i + 1)}
        across = _cross(background_id, clips, events)
        order = np.random.default_rng([seed, background_id]).permutation(len(across))
        pairs += [across[i] for i in order[: crossed * len(members)]]
    return pairs


def event_rows(scenes: SceneSet) -> dict[str, int]:
    """Return the row of each clean event by its path."""
    return {row.path: i for i, row in enumerate(scenes.event_rows)}


def clip_at(scenes: SceneSet, row: int) -> Clip:
    """Return the clip of a row."""
    pair = scenes.pairs[row // 2]
    return pair.target if row % 2 else pair.query


def added_items(clip: Clip) -> list[Item]:
    """List the sounds of a clip besides its backgrounds."""
    return [item for item in clip.items if item.role != "background"]


def make_pair(
    background_ids: tuple[int, int],
    rows: tuple[int, int],
    change: tuple[ChangeKind, Item],
    events: Mapping[str, int],
) -> TrainingPair:
    """Make the pair of two clips that differ by one sound.

    Args:
        background_ids: Numbers of the backgrounds of both clips.
        rows: Rows of both clips.
        change: Kind of the change and the sound, see `find_change`.
        events: Row of each clean event.
    """
    kind, item = change
    sources = {}
    if item.role == "event":
        sources[item.label] = ChangeSource(path=item.path, row=events[item.path])
    return TrainingPair(background_ids, *rows, (Change(kind, item.label),), sources)


def find_change(before: Sequence[Item], after: Sequence[Item]) -> tuple[ChangeKind, Item] | None:
    """Find the change between clips with at most one sound over the backgrounds.

    Returns:
        The kind and the sound, the louder one if both clips have it; None if it is no change.
    """
    if not before and after:
        return ("more" if after[0].role == "more" else "add"), after[0]
    if before and not after:
        return ("less" if before[0].role == "more" else "remove"), before[0]
    if before and after and before[0].role == after[0].role == "event":
        step_db = after[0].snr_db - before[0].snr_db
        if before[0].label == after[0].label and abs(step_db) >= LEAST_STEP_DB:
            return ("louder", after[0]) if step_db > 0 else ("quieter", before[0])
    return None


def _cross(
    background_id: int, clips: Mapping[int, Clip], events: Mapping[str, int]
) -> list[TrainingPair]:
    """Pair clips that differ by one sound and were not rendered for each other.

    Every two of them are paired in one direction; batches reverse some.
    """
    added = {row: added_items(clip) for row, clip in clips.items()}
    simple = {row: items for row, items in added.items() if len(items) <= 1}
    pairs = []
    for query, before in simple.items():
        for target, after in simple.items():
            if query // 2 < target // 2 and (change := find_change(before, after)):
                ids = (background_id, background_id)
                pairs.append(make_pair(ids, (query, target), change, events))
    return pairs
