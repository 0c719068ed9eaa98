"""Links between clips: the pairs that were rendered, and more that any two clips of a bed make.

All clips of a bed lie over the same two recordings, so two of them that differ by one sound are a
pair as good as one that was rendered as such.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.scenes.changes import Change, ChangeKind
from training.scenes.load import SceneSet
from training.scenes.pair import Clip, Item, Source

LEAST_STEP_DB = 6.0  # between two levels of an event, as in pairs that are rendered


@dataclass(frozen=True, slots=True)
class Link:
    """Two clips of a bed, and what changes from one to the other.

    Attributes:
        bed: That both lie on.
        query: Row of the first clip; pair i of a set has the clips 2i, its query, and 2i + 1.
        target: Row of the second clip.
        changes: From query to target.
        sources: The event of each change of an event, by its label.
    """

    bed: int
    query: int
    target: int
    changes: tuple[Change, ...]
    sources: Mapping[str, Source]

    @property
    def reversed(self) -> Link:
        """The link that leads back."""
        changes = tuple(change.inverse for change in self.changes)
        return replace(self, query=self.target, target=self.query, changes=changes)


def list_links(scenes: SceneSet, crossed: int, seed: int) -> list[Link]:
    """List the pairs of a set, and with them pairs made across them.

    Args:
        scenes: The set.
        crossed: Most pairs made across those of a bed, for each that was rendered there.
        seed: Draws them where there are more.
    """
    links = [
        Link(pair.bed, 2 * i, 2 * i + 1, pair.changes, pair.sources)
        for i, pair in enumerate(scenes.pairs)
    ]
    if not crossed:
        return links
    rows = {row.path: i for i, row in enumerate(scenes.event_rows)}
    beds: dict[int, list[int]] = defaultdict(list)
    for i, pair in enumerate(scenes.pairs):
        beds[pair.bed].append(i)
    for bed, members in beds.items():
        clips = {row: clip_of(scenes, row) for i in members for row in (2 * i, 2 * i + 1)}
        made = _cross(bed, clips, rows)
        order = np.random.default_rng([seed, bed]).permutation(len(made))
        links += [made[i] for i in order[: crossed * len(members)]]
    return links


def clip_of(scenes: SceneSet, row: int) -> Clip:
    """Get a clip by its row."""
    pair = scenes.pairs[row // 2]
    return pair.target if row % 2 else pair.query


def _cross(bed: int, clips: Mapping[int, Clip], rows: Mapping[str, int]) -> list[Link]:
    """Link clips of a bed that differ by one sound and were not rendered for each other.

    Each two are linked in one direction; batches turn some of them round.
    """
    simple = {row: own for row, clip in clips.items() if len(own := _own_items(clip)) <= 1}
    links = []
    for query, before in simple.items():
        for target, after in simple.items():
            if query // 2 < target // 2 and (change := _change(before, after)):
                kind, item = change
                sources = {}
                if item.role == "event":
                    sources[item.label] = Source(path=item.path, row=rows[item.path])
                changes = (Change(kind, item.label),)
                links.append(Link(bed, query, target, changes, sources))
    return links


def _own_items(clip: Clip) -> list[Item]:
    return [item for item in clip.items if item.role != "background"]


def _change(before: Sequence[Item], after: Sequence[Item]) -> tuple[ChangeKind, Item] | None:
    """Tell what one sound at most on either side makes of a change, and which sound it is.

    Where it is heard on both sides, the louder one is meant.
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
