"""Keep the sources of test data out of training."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from training.data.manifest import SourceClip
from training.recipe import Columns, LeaveOutRecipe

TEST_SHARE = 1 / 3


def sources(clip: SourceClip) -> frozenset[str]:
    """List every source that a clip is known to come from.

    Two clips that share a source are cuts of one recording. A source is the manifest's
    ``recording``, a Freesound id, or ``esc50_src_overlap``: the ESC-50 source that a clip of
    another corpus was found to repeat.
    """
    names = {clip.recording}
    if freesound := clip.columns.get("freesound_id"):
        names.add(f"freesound:{freesound}")
    if overlap := clip.columns.get("esc50_src_overlap"):
        names |= {f"esc50:{overlap}", f"freesound:{overlap}"}
    return frozenset(names)


def matches(clip: SourceClip, columns: Columns) -> bool:
    """Check whether a clip has one of the allowed values in each of the columns."""
    return all(
        clip.columns.get(column) in {str(v) for v in (vs if isinstance(vs, list) else [vs])}
        for column, vs in columns.items()
    )


def background_sides(backgrounds: Sequence[SourceClip]) -> Mapping[str, str]:
    """Divide recordings of backgrounds: a third of each kind is ``test``, the rest ``train``.

    A kind is a ``label``. Its recordings are sorted by hash, so that the sides do not depend on
    the order of the manifest. A kind with one recording is ``train`` only. A recording of several
    kinds keeps the first side it was given.

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
        undivided = sorted(kinds[kind] - sides.keys(), key=hash_recording)
        for i, recording in enumerate(undivided):
            sides[recording] = "test" if i < n_test else "train"
    return sides


def sources_under_test(clips: Sequence[SourceClip], rule: LeaveOutRecipe) -> frozenset[str]:
    """List the sources of all clips that a rule's evaluations test on."""
    tested = [clip for clip in clips if any(matches(clip, columns) for columns in rule.test)]
    backgrounds = [clip for clip in clips if rule.backgrounds and matches(clip, rule.backgrounds)]
    sides = background_sides(backgrounds)
    tested += [clip for clip in backgrounds if sides[clip.recording] == "test"]
    return union_of_sources(tested)


def leave_out(clips: Sequence[SourceClip], rule: LeaveOutRecipe) -> list[SourceClip]:
    """Return the clips that share no source with a tested clip."""
    tested = sources_under_test(clips, rule)
    return [clip for clip in clips if tested.isdisjoint(sources(clip))]


def union_of_sources(clips: Iterable[SourceClip]) -> frozenset[str]:
    """List the sources of all the clips."""
    return frozenset().union(*(sources(clip) for clip in clips))


def hash_recording(recording: str) -> str:
    """Hash the name of a recording; draws sort by it, so the order of a manifest is no matter."""
    return hashlib.sha256(recording.encode()).hexdigest()
