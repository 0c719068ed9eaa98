"""What evaluations test on, and what may be heard before: no source on both sides."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from training.data.manifest import SourceClip
from training.recipe import Columns, LeaveOutRecipe

TEST_SHARE = 1 / 3


def sources(clip: SourceClip) -> frozenset[str]:
    """Name every source a clip is known to come from.

    Two clips that share a name are cuts of one recording: by the manifest's ``recording``, by
    their Freesound id, or by ``esc50_src_overlap``, the ESC-50 source a clip of another corpus
    was found to repeat.
    """
    names = {clip.recording}
    if freesound := clip.columns.get("freesound_id"):
        names.add(f"freesound:{freesound}")
    if overlap := clip.columns.get("esc50_src_overlap"):
        names |= {f"esc50:{overlap}", f"freesound:{overlap}"}
    return frozenset(names)


def matches(clip: SourceClip, columns: Columns) -> bool:
    """Tell whether a clip has one of the allowed values in each of the columns."""
    return all(
        clip.columns.get(column) in {str(v) for v in (vs if isinstance(vs, list) else [vs])}
        for column, vs in columns.items()
    )


def background_sides(backgrounds: Sequence[SourceClip]) -> Mapping[str, str]:
    """Divide recordings of backgrounds between ``train`` and ``test``, a third of each kind there.

    A kind is a ``label``. Its recordings are taken in the order of their hashes, so that the side
    of one does not depend on the order of the manifest; a kind with one recording serves training
    only, and a recording that stands under several kinds stays on the side it was given first.

    Returns:
        The side of each recording.
    """
    kinds: dict[str, set[str]] = defaultdict(set)
    for clip in backgrounds:
        kinds[clip.columns["label"]].add(clip.recording)
    sides: dict[str, str] = {}
    for kind in sorted(kinds):
        n_test = max(round(len(kinds[kind]) * TEST_SHARE), 1) if len(kinds[kind]) > 1 else 0
        n_test -= sum(sides.get(recording) == "test" for recording in kinds[kind])
        free = sorted(kinds[kind] - sides.keys(), key=_hash)
        for i, recording in enumerate(free):
            sides[recording] = "test" if i < n_test else "train"
    return sides


def sources_under_test(clips: Sequence[SourceClip], rule: LeaveOutRecipe) -> frozenset[str]:
    """Name the sources of everything that a rule's evaluations test on."""
    tested = [clip for clip in clips if any(matches(clip, columns) for columns in rule.test)]
    backgrounds = [clip for clip in clips if rule.backgrounds and matches(clip, rule.backgrounds)]
    sides = background_sides(backgrounds)
    tested += [clip for clip in backgrounds if sides[clip.recording] == "test"]
    return union_of_sources(tested)


def leave_out(clips: Sequence[SourceClip], rule: LeaveOutRecipe) -> list[SourceClip]:
    """Keep the clips that share no source with what is tested on."""
    tested = sources_under_test(clips, rule)
    return [clip for clip in clips if tested.isdisjoint(sources(clip))]


def union_of_sources(clips: Iterable[SourceClip]) -> frozenset[str]:
    """Name every source of any of the clips."""
    return frozenset().union(*(sources(clip) for clip in clips))


def _hash(recording: str) -> str:
    return hashlib.sha256(recording.encode()).hexdigest()
