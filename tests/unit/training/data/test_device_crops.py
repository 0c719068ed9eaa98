from __future__ import annotations

import numpy as np
import pytest
import tiny_run
import torch

from training.data.device_crops import DeviceCrops, open_crops
from training.data.sampler import CropSampler
from training.model.model import CROP_SAMPLES

CPU = torch.device("cpu")


def sampler(**settings: object) -> CropSampler:
    random = np.random.default_rng(0)
    lengths = [1, 100, CROP_SAMPLES - 1, CROP_SAMPLES, 40_000, 70_000, 16_000, 16_001]
    clips = [random.integers(-32_768, 32_768, n) for n in lengths]
    return CropSampler(tiny_run.store(clips), batch_size=4, seed=3, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        *({}, {"crops": "by_length"}, {"crop_samples": 30_560}),
        *({"rank": 0, "world_size": 2}, {"rank": 1, "world_size": 2}),
    ],
)
def test_crops_are_those_of_the_host_bit_for_bit(settings: dict[str, object]) -> None:
    host = sampler(**settings)
    device = DeviceCrops(host, CPU)
    for step in range(3 * host.steps_per_epoch):
        found = device.batch(step)
        assert found.dtype == torch.float32
        assert np.array_equal(found.numpy(), host.batch(step))
        others = device.batch(step, excerpts=True)
        assert np.array_equal(others.numpy(), host.batch(step, excerpts=True))


def test_of_a_selection_only_the_selected_clips_are_cut() -> None:
    whole = sampler().store
    part = CropSampler(whole.select(i % 2 for i in range(8)), batch_size=4, seed=3)
    assert np.array_equal(DeviceCrops(part, CPU).batch(1).numpy(), part.batch(1))


def test_without_a_gpu_crops_are_cut_on_the_host() -> None:
    host = sampler()
    automatic, asked = (open_crops(host, CPU, store) for store in ("auto", "device"))
    assert torch.equal(automatic(2), asked(2))
    assert isinstance(getattr(asked, "__self__", None), DeviceCrops)
    assert not isinstance(getattr(automatic, "__self__", None), DeviceCrops)
