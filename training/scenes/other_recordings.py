"""Pairs whose target has other recordings of the same kind of background than its query."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from training.scenes.pair import Background, Clip, Pair
from training.scenes.pool import ScenePool

if TYPE_CHECKING:  # the plan's module draws pairs and uses this one
    from training.scenes.draw import PairPlan

# The names of the streams are part of the seed.
PAIRS, BACKGROUNDS = "pairs over other recordings", "other recordings"


def with_other_recordings(pair: Pair, pool: ScenePool, plan: PairPlan) -> Pair:
    """Give the target of a pair other backgrounds, if the share of the plan draws this pair.

    The query, the changes and all times and levels stay as they are. So does the whole pair, where
    its kind has no two backgrounds that share no recording with those of the query. Pairs over the
    same backgrounds get the same others, whose number is -1 - that of the first.

    Args:
        pair: A pair over one set of backgrounds.
        pool: The sources of the side.
        plan: Has the share, and draws.
    """
    is_drawn = plan.rng(PAIRS, pair.index).random() < plan.other_recordings
    backgrounds = pool.backgrounds[pair.backgrounds[0].kind]
    combined = list_others(backgrounds, pair.backgrounds)
    if not (is_drawn and combined):
        return pair
    rng = plan.rng(BACKGROUNDS, pair.background_id)
    others = combined[int(rng.integers(len(combined)))]
    used = {each.recording for each in pair.backgrounds}
    return replace(
        pair,
        target=_over(pair.target, others, {b.path for b in backgrounds if b.recording in used}),
        target_background_id=-1 - pair.background_id,
        target_backgrounds=others,
    )


def list_others(
    backgrounds: Sequence[Background], used: Sequence[Background]
) -> list[tuple[Background, Background]]:
    """List all two backgrounds that share no recording with the used ones.

    Those of two recordings are preferred: if there are any, those of one are left out.
    """
    taken = {background.recording for background in used}
    others = list(combinations([each for each in backgrounds if each.recording not in taken], 2))
    of_two = [two for two in others if two[0].recording != two[1].recording]
    return of_two or others


def _over(clip: Clip, others: Sequence[Background], used_paths: Set[str]) -> Clip:
    """Replace the backgrounds of a clip, and a used recording that adds more of it.

    Excerpts keep their times.
    """
    left = iter(others)
    items = []
    for item in clip.items:
        other = None
        if item.role == "background":
            other = next(left)
        elif item.path in used_paths:
            other = others[0]
        if other is not None:
            items.append(
                replace(item, path=other.path, from_s=other.from_s, length_s=other.length_s)
            )
        else:
            items.append(item)
    return Clip(items=tuple(items), labels=clip.labels)
