"""Measure the descriptions of changes on rendered scenes whose changes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from service.bundle.files import load_bundle
from service.inference.embedding_space import make_space
from service.inference.towers import Towers
from service.retrieval.change_calibration import CHANGES, What
from service.retrieval.comparison import Comparer, Comparison
from service.retrieval.description import ChangeSide, told
from training.change_detection.calibrate import fit
from training.change_detection.dataset import DetectionDataset
from training.change_detection.scenes import ChangedScene, draw_scenes
from training.change_detection.windows import WindowedEmbedder
from training.data.splits import sources, union_of_sources
from training.errors import DatasetError
from training.scenes.pair import Item
from training.scenes.pool import build_pool, clips_of_side
from training.scenes.recipe import Side
from training.scenes.render import StoredSources, render_pair
from training.words.names import list_names

TOLERANCE_S = 0.5
BOOTSTRAPS = 1000


@dataclass(frozen=True, slots=True)
class SideJudgement:
    """Accuracy of one side of a comparison.

    Attributes:
        is_named: Whether the first phrase names the event.
        is_second: Whether the second phrase does.
        lead: Score of the first phrase less that of the second.
        is_mentioned: Whether the description names it.
        start_error_s: Estimated less true start [s]; None if no time is given.
        level_error_db: Estimated level less the true one [dB]; None if no level is given.
    """

    is_named: bool
    is_second: bool
    lead: float
    is_mentioned: bool
    start_error_s: float | None
    level_error_db: float | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A scene and the accuracy of its description.

    Attributes:
        scene: The scene.
        answer: What the description tells, be it as a possibility.
        decision: The decision of the detector.
        sides: Of the events that were added and removed.
    """

    scene: ChangedScene
    answer: What
    decision: What
    sides: list[SideJudgement]

    @property
    def is_right(self) -> bool:
        """True if the direction is right and the first phrase of each side names its event."""
        return self.answer == self.scene.change and all(side.is_named for side in self.sides)

    @property
    def is_on_time(self) -> bool:
        """True if each event starts within half a second of the told time."""
        errors = [side.start_error_s for side in self.sides]
        return all(error is not None and abs(error) <= TOLERANCE_S for error in errors)


def measure_descriptions(
    bundle: Path,
    dataset: DetectionDataset,
    embedder: WindowedEmbedder,
    n_each: int,
    *,
    side: Side = "test",
) -> dict[str, Any]:
    """Describe scenes and compare the descriptions with the truth, for a results file.

    The detector is fitted to the permissive excerpts that share no source with the test side; it
    has heard the sources of scenes of the training side.

    Args:
        bundle: A bundle with towers.
        dataset: Excerpts to fit the detector to, embedded by its encoder.
        embedder: The same encoder.
        n_each: Scenes of each change.
        side: Whose sources the scenes are made of.

    Raises:
        BundleError: The folder holds no valid bundle.
        DatasetError: The bundle has no towers.
    """
    opened = load_bundle(bundle)
    towers = Towers.open(opened, device="cpu", threads=1)
    if towers is None:
        raise DatasetError(f"{bundle} has no towers, so it has no words for a change")
    space = make_space(opened, towers.audio)
    detector = fit(dataset, dataset.is_permissive & unused(dataset))
    comparer = Comparer(opened.mean, space, bank=towers.bank, detector=detector)
    weight = opened.manifest.difference.reference_weight
    clips = dataset.clips
    pool = build_pool(clips.store, clips.scene, side, permissive=False)
    stored = StoredSources.of(clips.store)
    judged = []
    for scene in draw_scenes(pool, side, n_each):
        reference, mixture = map(embedder.input, render_pair(scene.pair, stored))
        found = comparer.compare(mixture, [reference], weight=weight, n_phrases=2)
        judged.append(judge(scene, found))
    return {"scenes_of_each": n_each, "side": side, "tolerance_s": TOLERANCE_S} | summarize(judged)


def judge(scene: ChangedScene, found: Comparison) -> Judgement:
    """Compare a comparison of the mixture of a scene with its reference with the truth."""
    assert found.changed is not None
    sides = [
        judge_side(item, side, found.description)
        for item, side in ((scene.added, found.added), (scene.removed, found.removed))
        if item is not None
    ]
    return Judgement(scene, told(found.changed), found.changed.what, sides)


def judge_side(item: Item, side: ChangeSide, description: str) -> SideJudgement:
    """Compare what is told of one side with its event."""
    names = {item.label, *list_names(item.label)}
    first, second = side.phrases[:2]
    rights = [phrase.label == item.label or phrase.phrase in names for phrase in (first, second)]
    # Both backgrounds of a scene are at its reference.
    true_db = item.snr_db - 10.0 * np.log10(2.0)
    return SideJudgement(
        is_named=rights[0],
        is_second=rights[1],
        lead=first.score - second.score,
        is_mentioned=any(
            is_right and f"“{phrase.phrase}”" in description
            for phrase, is_right in zip((first, second), rights, strict=True)
        ),
        start_error_s=None if side.start_s is None else side.start_s - item.onset_s,
        level_error_db=None if side.level_db is None else side.level_db - true_db,
    )


def summarize(judged: Sequence[Judgement]) -> dict[str, Any]:
    """Compute shares over scenes, with 95 % intervals by a bootstrap over pairs of backgrounds."""
    rows = []
    for change in CHANGES:
        of_change = [each for each in judged if each.scene.change == change]
        row: dict[str, Any] = {"change": change, "scenes": len(of_change)}
        row["answers"] = {
            answer: _share([each.answer == answer for each in of_change], of_change)["share"]
            for answer in CHANGES
        }
        row["decisions"] = {
            answer: _share([each.decision == answer for each in of_change], of_change)["share"]
            for answer in CHANGES
        }
        rows.append(row | _figures(of_change))
    one_sided = [each for each in judged if each.scene.change in {"added", "removed"}]
    return {
        "changes": rows,
        "one_event": {"scenes": len(one_sided)} | _figures(one_sided),
        "names_by_lead": _by_lead([side for each in one_sided for side in each.sides]),
    }


def _by_lead(sides: Sequence[SideJudgement]) -> list[dict[str, Any]]:
    """Return how often the first two phrases are right, by the lead of the first."""
    rows = []
    for low, high in pairwise((0.0, 0.02, 0.05, 0.1, 0.2, np.inf)):
        within = [side for side in sides if low <= side.lead < high]
        if within:
            first, second = (
                round(float(np.mean([getattr(side, name) for side in within])), 4)
                for name in ("is_named", "is_second")
            )
            rows.append({"lead_from": low, "sounds": len(within), "first": first, "second": second})
    return rows


def _figures(judged: Sequence[Judgement]) -> dict[str, Any]:
    figures = {
        "direction": _share([each.answer == each.scene.change for each in judged], judged),
    }
    if not judged or not judged[0].sides:
        return figures
    right = [each for each in judged if each.is_right]
    starts = [side.start_error_s for each in right for side in each.sides]
    levels = [side.level_error_db for each in right for side in each.sides]
    known = [abs(error) for error in levels if error is not None]
    return figures | {
        "named": _share([all(s.is_named for s in each.sides) for each in judged], judged),
        "mentioned": _share([all(s.is_mentioned for s in each.sides) for each in judged], judged),
        "right": _share([each.is_right for each in judged], judged),
        "right_and_on_time": _share([each.is_on_time for each in right], right),
        "on_time": _share([each.is_on_time for each in judged], judged),
        "median_start_error_s": _median([abs(e) for e in starts if e is not None]),
        "median_level_error_db": _median(known),
        "levels_told": len(known),
    }


def _share(hits: Sequence[bool], judged: Sequence[Judgement]) -> dict[str, Any]:
    """Return a share with its interval; recordings that scenes have in common count once."""
    if not hits:
        return {"share": None, "share_95": None, "of": 0}
    beds = [" ".join(sorted(each.path for each in it.scene.pair.backgrounds)) for it in judged]
    _, numbers = np.unique(beds, return_inverse=True)
    found, total = np.bincount(numbers, np.array(hits, float)), np.bincount(numbers)
    drawn = np.random.default_rng(0).integers(len(total), size=(BOOTSTRAPS, len(total)))
    shares = found[drawn].sum(axis=1) / total[drawn].sum(axis=1)
    interval = [round(float(value), 4) for value in np.percentile(shares, [2.5, 97.5])]
    return {"share": round(float(np.mean(hits)), 4), "share_95": interval, "of": len(hits)}


def _median(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 3) if values else None


def unused(dataset: DetectionDataset) -> Bool[np.ndarray, " excerpts"]:
    """Return the excerpts that share no source with the clips of the test side."""
    store = dataset.clips.store
    taken = union_of_sources(clips_of_side(store.clips, dataset.clips.scene, "test"))
    is_free = [taken.isdisjoint(sources(clip)) for clip in store.clips]
    return np.array(
        [
            all(is_free[row] for row in (excerpt.recording, excerpt.event) if row is not None)
            for excerpt in dataset.excerpts
        ]
    )
