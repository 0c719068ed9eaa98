"""Events and backgrounds of Background-known ESC-50, each on one side: training or test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.data.manifest import SourceClip, read_clips
from training.data.splits import background_sides, matches, sources, union_of_sources
from training.datasets.preparers import prepare_esc50
from training.errors import DatasetError
from training.recipe import Columns

TRAIN, TEST = "train", "test"
FOLDS = {"1": TRAIN, "2": TRAIN, "3": TRAIN, "4": TEST, "5": TEST}
EVENTS: Columns = {"corpus": "esc50"}
BACKGROUNDS: Columns = {"corpus": ["ambience", "traffic"]}


@dataclass(frozen=True, slots=True)
class Sides:
    """Events and backgrounds by side, ``train`` and ``test``.

    Attributes:
        events: Clips of ESC-50 with their ``label`` and ``fold``.
        backgrounds: Candidates; too short ones are skipped later.
        dropped: Number of backgrounds left out because they share a source with the other side.
    """

    events: Mapping[str, list[SourceClip]]
    backgrounds: Mapping[str, list[SourceClip]]
    dropped: int = 0


def find_sides(events: Path, backgrounds: Path, test_backgrounds: Path | None = None) -> Sides:
    """Find the events of folds 1-3 and 4-5 and the backgrounds to mix them with.

    Args:
        events: The folder of ESC-50, or a manifest with rows of corpus ``esc50``.
        backgrounds: A folder, or a manifest with rows of the corpora ``ambience`` and
            ``traffic``. Its recordings are divided between the sides by
            ``training.data.splits.background_sides``; those that share a source with the other
            side are dropped (docs/method.md, B5).
        test_backgrounds: A folder of backgrounds for the test side, such as FSD50K's evaluation
            audio; ``backgrounds`` is then for training alone, as in the paper (section 5.2).

    Raises:
        DatasetError: A side has no events or no backgrounds.
    """
    by_side: dict[str, list[SourceClip]] = {TRAIN: [], TEST: []}
    for clip in find_events(events):
        by_side[FOLDS[clip.columns["fold"]]].append(clip)
    if test_backgrounds is not None:
        found = {TRAIN: read_clips(backgrounds), TEST: read_clips(test_backgrounds)}
        sides = Sides(by_side, found)
    else:
        sides = _divide(by_side, find_backgrounds(backgrounds))
    for kind, clips in (("events", sides.events), ("backgrounds", sides.backgrounds)):
        if empty := [side for side in (TRAIN, TEST) if not clips[side]]:
            raise DatasetError(f"there are no {kind} to {' and '.join(empty)} with")
    return sides


def find_events(place: Path) -> list[SourceClip]:
    """List the clips of ESC-50, from its folder or from a manifest."""
    if place.is_file():
        return [clip for clip in read_clips(place) if matches(clip, EVENTS)]
    found = []
    for clip in prepare_esc50(place):
        origin = clip.path.name.split("-")[1]
        columns = {"label": clip.label, "fold": str(clip.fold), "freesound_id": origin}
        columns["recording"] = f"esc50:{origin}"
        found.append(SourceClip(place, clip.path.relative_to(place).as_posix(), columns))
    return found


def find_backgrounds(place: Path) -> list[SourceClip]:
    """List background recordings; in a folder, the label is the name of the parent folder."""
    if place.is_file():
        return [clip for clip in read_clips(place) if matches(clip, BACKGROUNDS)]
    return [
        SourceClip(clip.root, clip.name, {"label": clip.path.parent.name})
        for clip in read_clips(place)
    ]


def _divide(events: Mapping[str, list[SourceClip]], backgrounds: Sequence[SourceClip]) -> Sides:
    side_of = background_sides(backgrounds)
    found = {
        side: [clip for clip in backgrounds if side_of[clip.recording] == side]
        for side in (TRAIN, TEST)
    }
    tested = union_of_sources([*events[TEST], *found[TEST]])
    found[TRAIN] = [clip for clip in found[TRAIN] if tested.isdisjoint(sources(clip))]
    trained = union_of_sources([*events[TRAIN], *found[TRAIN]])
    found[TEST] = [clip for clip in found[TEST] if trained.isdisjoint(sources(clip))]
    dropped = len(backgrounds) - len(found[TRAIN]) - len(found[TEST])
    return Sides(events, found, dropped)
