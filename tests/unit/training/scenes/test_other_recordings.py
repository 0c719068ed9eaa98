from __future__ import annotations

import pytest
import tiny_scene
from pydantic import TypeAdapter

from training.scenes.draw import PairPlan, draw_pairs
from training.scenes.other_recordings import list_others
from training.scenes.pair import Clip, Item, Pair
from training.scenes.pool import ScenePool


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ScenePool:
    """Rain of many recordings, and wind of one, of which there are no others."""
    more = [tiny_scene.background("rain", f"more{i}", 41.0, seed=20 + i) for i in range(8)]
    more += [tiny_scene.background("wind", f"wind{i}", 60.0, seed=40 + i) for i in range(2)]
    folder = tmp_path_factory.mktemp("others")
    corpus = tiny_scene.write(folder, [*tiny_scene.corpus(), *more])
    return tiny_scene.pool(corpus, "train", scene="general")


def plan(share: float, n_pairs: int = 80) -> PairPlan:
    return PairPlan(
        scene="general",
        side="train",
        n_pairs=n_pairs,
        seed=0,
        permissive=False,
        other_recordings=share,
    )


def recordings(pool: ScenePool, clip: Clip) -> set[str]:
    known = {b.path: b.recording for backgrounds in pool.backgrounds.values() for b in backgrounds}
    return {known[item.path] for item in clip.items if item.role != "event"}


def without_source(item: Item) -> tuple[object, ...]:
    return item.role, item.label, item.source_time_s, item.onset_s, item.duration_s, item.snr_db


def test_only_the_recordings_of_the_target_change(pool: ScenePool) -> None:
    same, other = (draw_pairs(pool, plan(share)) for share in (0.0, 1.0))
    for before, after in zip(same, other, strict=True):
        assert (after.query, after.changes, after.sources) == (
            before.query,
            before.changes,
            before.sources,
        )
        assert after.target.labels == before.target.labels
        assert [without_source(item) for item in after.target.items] == [
            without_source(item) for item in before.target.items
        ]


def test_the_target_shares_no_recording_with_the_backgrounds_of_the_query(pool: ScenePool) -> None:
    pairs = [p for p in draw_pairs(pool, plan(1.0)) if p.backgrounds[0].kind == "rain"]
    assert pairs
    for pair in pairs:
        used = {background.recording for background in pair.backgrounds}
        assert used.isdisjoint(recordings(pool, pair.target))
        assert pair.target_backgrounds is not None
        assert {b.kind for b in pair.target_backgrounds} == {"rain"}
        excerpts = [item for item in pair.target.items if item.role == "background"]
        assert [item.path for item in excerpts] == [b.path for b in pair.target_backgrounds]
    ids = {pair.background_ids for pair in pairs}
    assert ids == {(pair.background_id, -1 - pair.background_id) for pair in pairs}
    assert len({(pair.target_background_id, pair.target_backgrounds) for pair in pairs}) == len(ids)


def test_a_kind_without_other_recordings_keeps_its_own(pool: ScenePool) -> None:
    pairs = [p for p in draw_pairs(pool, plan(1.0)) if p.backgrounds[0].kind == "wind"]
    assert pairs
    assert all(pair.target_backgrounds is None for pair in pairs)
    assert all(len(set(pair.background_ids)) == 1 for pair in pairs)


def test_the_share_is_that_of_the_plan_and_the_draw_depends_on_the_index_only(
    pool: ScenePool,
) -> None:
    pairs = draw_pairs(pool, plan(0.5, 200))
    rain = [pair for pair in pairs if pair.backgrounds[0].kind == "rain"]
    share = sum(pair.target_backgrounds is not None for pair in rain) / len(rain)
    assert 0.3 < share < 0.7
    assert draw_pairs(pool, plan(0.5, 60)) == pairs[:60]


def test_others_of_two_recordings_are_preferred(pool: ScenePool) -> None:
    rain = pool.backgrounds["rain"]
    names = sorted({background.recording for background in rain})
    few = [background for background in rain if background.recording in names[:2]]
    used = [background for background in few if background.recording == names[0]]
    for two in list_others(rain, used):
        assert names[0] not in {background.recording for background in two}
        assert two[0].recording != two[1].recording
    assert all(b.recording == names[1] for two in list_others(few, used) for b in two)


def test_such_a_pair_is_read_back_and_reversed(pool: ScenePool) -> None:
    adapter = TypeAdapter(Pair)
    for pair in draw_pairs(pool, plan(0.5)):
        line = pair.to_json()
        assert adapter.validate_json(line) == pair
        assert ("target_bed" in line) == (pair.target_backgrounds is not None)
        assert pair.reversed.reversed == pair
        assert pair.reversed.background_ids == pair.background_ids[::-1]


def test_a_plan_without_a_share_is_written_as_before(pool: ScenePool) -> None:
    assert "other_recordings" not in plan(0.0).to_dict()
    assert plan(0.5).to_dict()["other_recordings"] == 0.5
