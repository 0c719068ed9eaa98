from __future__ import annotations

import hashlib
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
    draw_backgrounds,
    draw_pairs,
    list_events,
)
from training.scenes.pair import CLIP_S, Clip, Item, Pair
from training.scenes.pool import BACKGROUND_S, ScenePool
from training.scenes.recipe import Side

N_PAIRS = 400
# Four standard errors of a share at this many pairs.
SHARE_TOLERANCE = 0.1


@pytest.fixture(scope="module")
def pool(corpus: Path) -> ScenePool:
    return tiny_scene.pool(corpus)


@pytest.fixture(scope="module")
def varied_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small corpus with backgrounds of further kinds."""
    more = [
        *(tiny_scene.background("wind", f"wind{i}", 41.0, seed=i) for i in range(4)),
        tiny_scene.background("farm", "farm0", 30.0, seed=9),
        *(tiny_scene.background("car_passing", f"car{i}", 60.0, seed=10 + i) for i in range(2)),
    ]
    return tiny_scene.write(tmp_path_factory.mktemp("varied"), [*tiny_scene.corpus(), *more])


@pytest.fixture(scope="module")
def pairs(pool: ScenePool) -> list[Pair]:
    return draw_pairs(pool, tiny_scene.plan(N_PAIRS))


def items(clip: Clip, label: str, role: str) -> list[Item]:
    return [item for item in clip.items if (item.label, item.role) == (label, role)]


def within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]


def test_pairs_are_a_function_of_scene_side_seed_and_index(
    pool: ScenePool, pairs: list[Pair]
) -> None:
    assert draw_pairs(pool, tiny_scene.plan(N_PAIRS)) == pairs
    assert draw_pairs(pool, tiny_scene.plan(60)) == pairs[:60]
    others = [
        draw_pairs(pool, tiny_scene.plan(20, seed=1)),
        draw_pairs(pool, tiny_scene.plan(20, side="train")),
        draw_pairs(pool, tiny_scene.plan(20, scene="general")),
    ]
    for other in others:
        assert all(a.query != b.query for a, b in zip(other, pairs, strict=False))


# Hashes of 60 pairs as they were drawn before corpora and folds stood in recipes.
@pytest.mark.parametrize(
    ("scene", "side", "expected"),
    [
        ("rain", "train", "de3e3e47d382e04d00a9aeb93f6e8b15be3c07311374eb9f5cdcf9d493ff0329"),
        ("rain", "test", "31cbe09014b8a64f1ce94f6dc2da79d7fef31dee5aec35cec0f80a237e47782e"),
        ("traffic", "train", "9314e6dd96e3add16b659e0a50d545c173bc83ea1e92da21582085e46cbc1ba8"),
        ("traffic", "test", "ffbd859f8e4150df32d64fbe855ff0771403826bc6beff269c694c3c2a970554"),
        ("general", "train", "b2f3966dc22721e348f66130f4b316c3b2fe9f43a44036d9e83105f4b7bb7e85"),
        ("general", "test", "468bde781ae5466df3f598df7eb07d5ed21faee61f97f301b05742e7e2106e45"),
    ],
)
def test_the_pairs_of_a_seed_stay_the_same(
    varied_corpus: Path, scene: str, side: Side, expected: str
) -> None:
    pool = tiny_scene.pool(varied_corpus, side, scene=scene)
    pairs = draw_pairs(pool, tiny_scene.plan(60, side=side, seed=3, scene=scene))
    lines = "".join(pair.to_json() + "\n" for pair in pairs)
    assert hashlib.sha256(lines.encode()).hexdigest() == expected


@pytest.mark.parametrize(("side", "n_sharing"), [("test", 50), ("train", 10)])
def test_fifty_pairs_of_a_test_set_and_ten_of_a_training_set_share_their_backgrounds(
    pool: ScenePool, side: Side, n_sharing: int
) -> None:
    drawn = draw_pairs(pool, tiny_scene.plan(120, side=side))
    assert [pair.background_id for pair in drawn] == [i // n_sharing for i in range(120)]
    shared = {(pair.background_id, pair.backgrounds) for pair in drawn}
    assert len(shared) == -(-120 // n_sharing)


def test_both_clips_have_different_excerpts_of_the_same_recordings(pairs: list[Pair]) -> None:
    for pair in pairs:
        excerpts = [
            [i for i in clip.items if i.role == "background"] for clip in (pair.query, pair.target)
        ]
        for of_clip in excerpts:
            found = [(i.path, i.from_s, i.length_s) for i in of_clip]
            assert found == [(b.path, b.from_s, b.length_s) for b in pair.backgrounds]
            assert all(i.snr_db == 0 and (i.onset_s, i.duration_s) == (0, CLIP_S) for i in of_clip)
        assert all(a.source_time_s != b.source_time_s for a, b in zip(*excerpts, strict=True))
        first, second = pair.backgrounds
        assert first != second
        assert first.kind == second.kind == "rain"
        assert within(pair.ref_db, REFERENCE_LUFS)


def test_clips_contain_only_the_backgrounds_and_the_changes(pairs: list[Pair]) -> None:
    for pair in pairs:
        labels = [change.label for change in pair.changes]
        assert len(set(labels)) == len(labels) in (1, 2)
        for clip in (pair.query, pair.target):
            others = [item for item in clip.items if item.role != "background"]
            assert {item.label for item in others} <= {*labels}
            events = [item.label for item in others if item.role == "event"]
            assert clip.labels == ("rain", *events)


def agrees(change: Change, pair: Pair) -> bool:
    """Tell whether the items of a pair are as its change demands."""
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


def test_the_items_agree_with_the_changes(pairs: list[Pair]) -> None:
    assert all(agrees(change, pair) for pair in pairs for change in pair.changes)


def test_all_kinds_of_change_are_equally_frequent(pairs: list[Pair]) -> None:
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


def test_excerpts_lie_within_their_sources_and_clips(pool: ScenePool, pairs: list[Pair]) -> None:
    lengths = {event.path: event.length_s for event in list_events(pool)}
    for item in (i for pair in pairs for clip in (pair.query, pair.target) for i in clip.items):
        assert 0 <= item.onset_s <= CLIP_S - item.duration_s
        if item.role == "event":
            assert item.source_time_s == 0
            assert item.onset_s <= ONSET_S[1]
            assert item.duration_s == lengths[item.path] or within(item.duration_s, DURATION_S)
        else:
            assert within(item.source_time_s, (0, BACKGROUND_S - CLIP_S))


def test_the_source_of_a_change_is_its_loudest_event(pool: ScenePool, pairs: list[Pair]) -> None:
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


def test_two_backgrounds_are_repeated_only_when_all_combinations_have_been_drawn(
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
    drawn = draw_backgrounds(pool, tiny_scene.plan(1, scene="general"), kinds * n_pairs)
    assert [len({two[0].kind for two in drawn[i : i + 2]}) for i in range(0, 8, 2)] == [2] * 4
    wind = [two for two in drawn if two[0].kind == "wind"]
    assert len(set(wind)) == len(wind) == n_pairs
    of_two = [first.recording != second.recording for first, second in wind]
    assert of_two == sorted(of_two, reverse=True)
    assert draw_backgrounds(pool, tiny_scene.plan(1, scene="general"), 5) == drawn[:5]
