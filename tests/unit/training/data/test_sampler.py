from __future__ import annotations

import numpy as np
import pytest
import tiny_run

from training.data.sampler import CropSampler, crop_samples
from training.data.store import ClipStore
from training.data.wav import FULL_SCALE
from training.model.model import CROP_SAMPLES
from training.recipe import DataRecipe


def constants(n: int) -> ClipStore:
    """Clips of one value each: 1, 2, 3 ..."""
    return tiny_run.store([np.full(100, i + 1) for i in range(n)])


def clip_values(batch: np.ndarray) -> list[int]:
    values: list[int] = np.rint(batch[:, 0] * FULL_SCALE).astype(int).tolist()
    return values


def epoch(sampler: CropSampler, number: int) -> list[int]:
    steps = range(number * sampler.steps_per_epoch, (number + 1) * sampler.steps_per_epoch)
    return [clip for step in steps for clip in clip_values(sampler.batch(step))]


def test_every_clip_is_drawn_once_an_epoch_in_a_new_order() -> None:
    sampler = CropSampler(constants(10), batch_size=4, seed=3)
    orders = [epoch(sampler, number) for number in range(3)]
    for order in orders:
        assert sorted(order) == list(range(1, 11))
    assert len({tuple(order) for order in orders}) == 3


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    clips = tiny_run.store([np.arange(CROP_SAMPLES + 500)] * 6)
    sampler, same = (CropSampler(clips, batch_size=3, seed=5) for _ in range(2))
    expected = [sampler.batch(step) for step in range(6)]
    for step in reversed(range(6)):
        assert np.array_equal(same.batch(step), expected[step])
    other = CropSampler(clips, batch_size=3, seed=6)
    assert not np.array_equal(other.batch(0), expected[0])


def test_by_length_a_clip_is_drawn_as_often_as_crops_fit_into_it() -> None:
    lengths = [1, CROP_SAMPLES - 1, CROP_SAMPLES, 2 * CROP_SAMPLES - 1, 5 * CROP_SAMPLES]
    store = tiny_run.store([np.full(n, i + 1) for i, n in enumerate(lengths)])
    sampler = CropSampler(store, batch_size=2, seed=3, crops="by_length")

    orders = [epoch(sampler, number) for number in range(2)]

    assert sampler.steps_per_epoch == 4  # the last of the 9 crops is dropped
    for order in orders:
        counts = np.bincount(order, minlength=6)[1:]
        assert (counts <= [1, 1, 1, 1, 5]).all()
        assert counts.sum() == 8
    assert orders[0] != orders[1]


@pytest.mark.parametrize(
    ("clips", "batch_size", "world_size", "sizes"),
    [
        (10, 4, 1, [4, 4, 2]),
        (9, 4, 1, [4, 4]),
        (8, 4, 1, [4, 4]),
        (3, 4, 1, [3]),
        (15, 8, 2, [4, 3]),
        (11, 8, 2, [4]),
        (12, 8, 2, [4, 2]),
    ],
)
def test_a_last_batch_of_fewer_than_two_per_process_is_dropped(
    clips: int, batch_size: int, world_size: int, sizes: list[int]
) -> None:
    for rank in range(world_size):
        sampler = CropSampler(constants(clips), batch_size, 0, rank, world_size)
        assert sampler.steps_per_epoch == len(sizes)
        assert [len(sampler.batch(step)) for step in range(len(sizes))] == sizes


def test_processes_share_each_batch_without_overlap() -> None:
    store = constants(24)
    samplers = [CropSampler(store, 8, seed=1, rank=rank, world_size=4) for rank in range(4)]
    alone = CropSampler(store, 8, seed=1)
    for step in range(6):
        shares = [clip_values(sampler.batch(step)) for sampler in samplers]
        assert [len(share) for share in shares] == [2, 2, 2, 2]
        assert [clip for share in shares for clip in share] == clip_values(alone.batch(step))


def test_processes_cut_their_crops_at_different_positions() -> None:
    ramp = np.arange(30_000)
    store = tiny_run.store([ramp] * 4)
    first, second = (CropSampler(store, 4, 0, rank, 2).batch(0)[:, 0] for rank in range(2))
    assert not set(first.tolist()) & set(second.tolist())


def test_a_crop_lies_inside_its_clip_and_reaches_both_ends() -> None:
    """With two samples more than a crop there are three positions; all are drawn."""
    ramp = np.arange(CROP_SAMPLES + 2)
    sampler = CropSampler(tiny_run.store([ramp] * 50), batch_size=50, seed=0)
    batch = np.rint(sampler.batch(0) * FULL_SCALE).astype(int)
    assert set(batch[:, 0].tolist()) == {0, 1, 2}
    assert (np.diff(batch, axis=1) == 1).all()


def test_a_short_clip_is_followed_by_zeros() -> None:
    lengths = [1, 100, CROP_SAMPLES - 1, CROP_SAMPLES]
    sampler = CropSampler(tiny_run.store([np.full(n, 7) for n in lengths]), batch_size=4, seed=0)
    batch = sampler.batch(0)
    assert batch.dtype == np.float32
    assert batch.shape == (4, CROP_SAMPLES)
    assert sorted(np.count_nonzero(batch, axis=1).tolist()) == lengths
    for crop in batch:
        n = np.count_nonzero(crop)
        assert (crop[:n] == np.float32(7 / FULL_SCALE)).all()
        assert not crop[n:].any()


# Another excerpt of each clip

CROP = 100


def ramps(*lengths: int) -> ClipStore:
    """Clips whose samples tell the clip, in thousands, and the place in it."""
    return tiny_run.store([1000 * i + np.arange(n) for i, n in enumerate(lengths)])


def places(batch: np.ndarray) -> np.ndarray:
    """The clip and the first sample of every crop."""
    first = np.rint(batch[:, 0] * FULL_SCALE).astype(int)
    return np.stack(np.divmod(first, 1000))


def test_an_excerpt_is_another_crop_of_the_same_clip() -> None:
    store = ramps(*[101, 150, 199, 250, 300, 420, 900] * 4)
    sampler = CropSampler(store, 14, seed=2, crop_samples=CROP)
    for step in range(40):
        clips, first = places(sampler.batch(step))
        same, other = places(sampler.batch(step, excerpts=True))
        assert np.array_equal(clips, same)
        starts = store.lengths[clips] - CROP + 1
        assert (other < starts).all()
        assert (np.abs(first - other) >= np.minimum(CROP, starts // 2)).all()


def test_excerpts_of_three_lengths_do_not_overlap_and_reach_both_ends() -> None:
    sampler = CropSampler(ramps(*[3 * CROP] * 30), 30, seed=0, crop_samples=CROP)
    first, other = (
        np.concatenate([places(sampler.batch(step, excerpts=it))[1] for step in range(200)])
        for it in (False, True)
    )
    assert np.abs(first - other).min() == CROP
    assert (other.min(), other.max()) == (0, 2 * CROP)


def test_a_clip_that_is_not_longer_than_a_crop_has_no_other_excerpt() -> None:
    sampler = CropSampler(ramps(30, 99, 100), 3, seed=0, crop_samples=CROP)
    assert np.array_equal(sampler.batch(0, excerpts=True), sampler.batch(0))


def test_excerpts_are_a_function_of_seed_and_step_and_are_shared_by_the_processes() -> None:
    store = ramps(*[400] * 12)
    samplers = [CropSampler(store, 6, 1, rank, 2, crop_samples=CROP) for rank in range(2)]
    again = CropSampler(store, 6, 1, 1, 2, crop_samples=CROP)
    for step in reversed(range(4)):
        for sampler in samplers:
            own, other = sampler.batch(step), sampler.batch(step, excerpts=True)
            assert np.array_equal(places(own)[0], places(other)[0])
        expected = samplers[1].batch(step, excerpts=True)
        assert np.array_equal(again.batch(step, excerpts=True), expected)
    first, second = (set(places(s.batch(0, excerpts=True))[1].tolist()) for s in samplers)
    assert first != second


# The length of a crop


def test_a_longer_crop_is_cut_and_counted_by_its_length() -> None:
    store = ramps(50, 250, 600)
    sampler = CropSampler(store, 3, seed=0, crops="by_length", crop_samples=200)
    assert sampler.steps_per_epoch == 2  # crops of the clips: 1, 1 and 3
    assert sampler.batch(0).shape == (3, 200)


@pytest.mark.parametrize(("seconds", "frames"), [(0.95, 96), (1.91, 192), (3.83, 384)])
def test_a_crop_of_a_recipe_is_whole_frames(seconds: float, frames: int) -> None:
    assert 1 + crop_samples(DataRecipe(crop_seconds=seconds)) / 160 == frames
    assert crop_samples(DataRecipe()) == CROP_SAMPLES
