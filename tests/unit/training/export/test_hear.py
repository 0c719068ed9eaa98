from __future__ import annotations

import numpy as np
import pytest
import synth
import torch

from training.errors import DatasetError
from training.evaluation.encoders import random_model
from training.export.hear import (
    HearModel,
    get_scene_embeddings,
    get_timestamp_embeddings,
)


@pytest.fixture
def model(narrow: None) -> HearModel:
    return HearModel(random_model(0)).eval()


def audio(duration_s: float) -> torch.Tensor:
    return torch.from_numpy(np.stack([synth.noise(i, duration_s) for i in range(18)]))


def test_the_model_has_the_attributes_that_hear_requires(model: HearModel) -> None:
    assert model.sample_rate == 16_000
    assert model.scene_embedding_size == model.timestamp_embedding_size == 3072


def test_a_scene_embedding_is_the_embedding_of_the_clip(model: HearModel) -> None:
    clips = audio(1.3)
    found = get_scene_embeddings(clips, model)
    assert found.shape == (18, 3072)
    assert found.dtype == torch.float32
    with torch.inference_mode():
        alone = model.model(clips[17:], torch.tensor([clips.shape[1]])).embedding[0]
    assert (found[17] - alone).abs().max() <= 1e-5 * alone.abs().max()


@pytest.mark.parametrize("duration_s", [0.01, 0.5, 1.3, 2.0])
def test_a_scene_pools_its_timestamps(model: HearModel, duration_s: float) -> None:
    clips = audio(duration_s)
    frames, centres = get_timestamp_embeddings(clips, model)
    assert frames.shape[:2] == centres.shape
    assert frames.shape[2] == 3072
    pooled = frames.mean(dim=1) + frames.amax(dim=1)
    scenes = get_scene_embeddings(clips, model)
    assert (pooled - scenes).abs().max() <= 1e-5 * scenes.abs().max()


def test_timestamps_are_every_40_ms_within_the_clip(model: HearModel) -> None:
    _, centres = get_timestamp_embeddings(audio(2.0), model)
    assert torch.allclose(centres.diff(), torch.tensor(40.0))
    assert centres[0, 0] == 15.0
    assert centres[0, -1] < 2000.0


def test_an_event_changes_the_embeddings_at_its_time(model: HearModel) -> None:
    sound = np.zeros(32_000, np.float32)
    sound[16_000:16_800] = synth.noise(0, 0.05)
    both = torch.from_numpy(np.stack([sound, np.zeros_like(sound)]))
    frames, centres = get_timestamp_embeddings(both, model)
    change = (frames[0] - frames[1]).norm(dim=1)
    assert 960.0 <= centres[0, change.argmax()] <= 1090.0


def test_no_samples_are_refused(model: HearModel) -> None:
    with pytest.raises(DatasetError, match="clips, samples"):
        get_scene_embeddings(torch.zeros(2, 0), model)
