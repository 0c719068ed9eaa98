from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import tiny_scene

from training.scenes.changes import BACKGROUND_CHANGES, CHANGE_KINDS, Change
from training.scenes.draw import (
    BASE_DB,
    DROP_DB,
    DURATION_S,
    MORE_DB,
    ONSET_S,
    REFERENCE_LUFS,
    TWO_CHANGES,
    draw_beds,
    draw_pairs,
    list_events,
)
from training.scenes.pair import Clip, Item, Pair
from training.scenes.pool import CUT_S, Pool
from training.scenes.scene import CLIP_S

N_PAIRS = 400
# Four standard errors of a share at this many pairs.
SHARE_TOLERANCE = 0.1


@pytest.fixture(scope="module")
def pool(corpus: Path) -> Pool:
    return tiny_scene.pool(corpus)


@pytest.fixture(scope="module")
def pairs(pool: Pool) -> list[Pair]:
    return draw_pairs(pool, tiny_scene.plan(N_PAIRS))


def items(clip: Clip, label: str, role: str) -> list[Item]:
    return [item for item in clip.items if (item.label, item.role) == (label, role)]


def within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]


def test_pairs_are_a_function_of_scene_side_seed_and_index(pool: Pool, pairs: list[Pair]) -> None:
    assert draw_pairs(pool, tiny_scene.plan(N_PAIRS)) == pairs
    assert draw_pairs(pool, tiny_scene.plan(60)) == pairs[:60]
    others = [
        draw_pairs(pool, tiny_scene.plan(20, seed=1)),
        draw_pairs(pool, tiny_scene.plan(20, side="train")),
        draw_pairs(pool, tiny_scene.plan(20, scene="general")),
    ]
    for other in others:
        assert all(a.query != b.query for a, b in zip(other, pairs, strict=False))


@pytest.mark.parametrize(("side", "per_bed"), [("test", 50), ("train", 10)])
def test_beds_are_shared_by_fifty_pairs_of_a_test_and_ten_of_a_training_set(
    pool: Pool, side: str, per_bed: int
) -> None:
    drawn = draw_pairs(pool, tiny_scene.plan(120, side=side))
    assert [pair.bed for pair in drawn] == [i // per_bed for i in range(120)]
    assert len({(pair.bed, pair.backgrounds) for pair in drawn}) == -(-120 // per_bed)


def test_both_clips_hear_the_same_recordings_in_excerpts_of_their_own(pairs: list[Pair]) -> None:
    for pair in pairs:
        beds = [
            [i for i in clip.items if i.role == "background"] for clip in (pair.query, pair.target)
        ]
        for bed in beds:
            heard = [(i.path, i.from_s, i.length_s) for i in bed]
            assert heard == [(b.path, b.from_s, b.length_s) for b in pair.backgrounds]
            assert all(i.snr_db == 0 and (i.onset_s, i.duration_s) == (0, CLIP_S) for i in bed)
        assert all(a.source_time_s != b.source_time_s for a, b in zip(*beds, strict=True))
        first, second = pair.backgrounds
        assert first != second
        assert first.kind == second.kind == "rain"
        assert within(pair.ref_db, REFERENCE_LUFS)


def test_clips_hold_nothing_but_the_bed_and_what_changes(pairs: list[Pair]) -> None:
    for pair in pairs:
        labels = [change.label for change in pair.changes]
        assert len(set(labels)) == len(labels) in (1, 2)
        for clip in (pair.query, pair.target):
            others = [item for item in clip.items if item.role != "background"]
            assert {item.label for item in others} <= {*labels}
            events = [item.label for item in others if item.role == "event"]
            assert clip.labels == ("rain", *events)


def expected(change: Change, pair: Pair) -> bool:
    """Tell whether the items of a pair say what its change says."""
    role = "more" if change.kind in BACKGROUND_CHANGES else "event"
    before, after = (items(clip, change.label, role) for clip in (pair.query, pair.target))
    if change.kind in ("remove", "quieter", "less"):
        before, after = after, before
    if change.kind in ("more", "less"):
        return not before and [within(i.snr_db, MORE_DB) for i in after] == [True]
    if change.kind in ("add", "remove"):
        return not before and [within(i.snr_db, BASE_DB) for i in after] == [True]
    (quiet,), (loud,) = before, after
    drop = round(loud.snr_db - quiet.snr_db, 6)
    return within(loud.snr_db, BASE_DB) and within(drop, DROP_DB)


def test_the_items_are_what_the_changes_say(pairs: list[Pair]) -> None:
    assert all(expected(change, pair) for pair in pairs for change in pair.changes)


def test_every_kind_of_change_is_as_frequent_as_another(pairs: list[Pair]) -> None:
    first = Counter(pair.changes[0].kind for pair in pairs)
    assert set(first) == set(CHANGE_KINDS)
    assert all(abs(n / N_PAIRS - 1 / 6) < SHARE_TOLERANCE for n in first.values())
    two = sum(len(pair.changes) == 2 for pair in pairs)
    assert abs(two / N_PAIRS - TWO_CHANGES) < SHARE_TOLERANCE
    kinds = [{change.kind for change in pair.changes} for pair in pairs if len(pair.changes) == 2]
    of_background = {*BACKGROUND_CHANGES}
    assert any(pair & of_background for pair in kinds)
    assert any(not pair & of_background for pair in kinds)
    assert not any(pair == of_background for pair in kinds)


def test_excerpts_lie_within_their_sounds_and_clips(pool: Pool, pairs: list[Pair]) -> None:
    lengths = {event.path: event.length_s for event in list_events(pool)}
    for item in (i for pair in pairs for clip in (pair.query, pair.target) for i in clip.items):
        assert 0 <= item.onset_s <= CLIP_S - item.duration_s
        if item.role == "event":
            assert item.source_time_s == 0
            assert item.onset_s <= ONSET_S[1]
            assert item.duration_s == lengths[item.path] or within(item.duration_s, DURATION_S)
        else:
            assert within(item.source_time_s, (0, CUT_S - CLIP_S))


def test_the_source_of_a_change_is_the_event_where_it_is_loudest(
    pool: Pool, pairs: list[Pair]
) -> None:
    rows = list_events(pool)
    for pair in pairs:
        events = [change for change in pair.changes if change.kind not in BACKGROUND_CHANGES]
        assert {*pair.sources} == {change.label for change in events}
        for change in events:
            clip = pair.target if change.kind in ("add", "louder") else pair.query
            (item,) = items(clip, change.label, "event")
            source = pair.sources[change.label]
            assert source.path == item.path == rows[source.row].path
            assert rows[source.row].label == change.label


def test_a_pair_of_backgrounds_comes_again_only_when_all_have_been_taken(
    tmp_path: Path,
) -> None:
    cuts = [tiny_scene.background("wind", f"wind{i}", 41.0, seed=i) for i in range(9)]
    pool = tiny_scene.pool(
        tiny_scene.write(tmp_path, [*tiny_scene.corpus(), *cuts]), scene="general"
    )
    kinds = len(pool.backgrounds)
    assert kinds == 2
    n_wind = len(pool.backgrounds["wind"])
    n_pairs = n_wind * (n_wind - 1) // 2
    beds = draw_beds(pool, tiny_scene.plan(1, scene="general"), kinds * n_pairs)
    assert [len({bed[0].kind for bed in beds[i : i + 2]}) for i in range(0, 8, 2)] == [2] * 4
    wind = [bed for bed in beds if bed[0].kind == "wind"]
    assert len(set(wind)) == len(wind) == n_pairs
    of_two = [first.recording != second.recording for first, second in wind]
    assert of_two == sorted(of_two, reverse=True)
    assert draw_beds(pool, tiny_scene.plan(1, scene="general"), 5) == beds[:5]
