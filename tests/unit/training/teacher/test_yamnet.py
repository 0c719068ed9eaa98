"""The port of YAMNet gives the scores of the released network."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from training.errors import TeacherError
from training.teacher.files import TeacherFiles, find_teacher
from training.teacher.yamnet import (
    HOP_SAMPLES,
    PATCH_SAMPLES,
    SamePadding,
    Yamnet,
    cut_patches,
    mel_filters,
)

BICYCLE_BELL = 198
# Natural logarithms of what the released graph answers for its one output, the class above, run by
# TensorFlow 2.21. They span fourteen decades, so a wrong layer, padding or filter shows.
RELEASED = {"clicks": -13.212027, "noise": -18.882402, "sweep": -22.381794, "tone": -36.698818}


@pytest.fixture(scope="module")
def files() -> TeacherFiles:
    try:
        return find_teacher()
    except TeacherError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def teacher(files: TeacherFiles) -> Yamnet:
    return Yamnet(files)


def sounds() -> dict[str, Tensor]:
    time = np.arange(PATCH_SAMPLES) / 16_000
    made = {
        "clicks": np.where(np.arange(PATCH_SAMPLES) % 1600 == 0, 0.8, 0.0),
        "noise": 0.1 * np.random.default_rng(0).standard_normal(PATCH_SAMPLES),
        "sweep": 0.3 * np.sin(2 * np.pi * (200 * time + 1500 * time**2)),
        "tone": 0.5 * np.sin(2 * np.pi * 440 * time),
    }
    return {name: torch.from_numpy(sound.astype(np.float32))[None] for name, sound in made.items()}


@pytest.mark.parametrize("name", RELEASED)
def test_the_scores_are_those_of_the_released_graph(name: str, teacher: Yamnet) -> None:
    score = float(teacher(sounds()[name]).scores[0, BICYCLE_BELL])
    assert math.log(score) == pytest.approx(RELEASED[name], abs=0.01)


def test_simple_sounds_get_the_names_that_they_should(teacher: Yamnet, files: TeacherFiles) -> None:
    names = files.classes()
    assert len(names) == 521

    def first(sound: Tensor) -> list[str]:
        return [names[i] for i in teacher(sound).scores[0].topk(5).indices]

    assert first(torch.zeros(1, PATCH_SAMPLES))[0] == "Silence"
    assert "White noise" in first(sounds()["noise"])
    assert "Dial tone" in first(sounds()["tone"])


def test_a_short_clip_counts_as_one_that_ends_in_zeros(teacher: Yamnet) -> None:
    short = sounds()["tone"][:, :15_200]
    padded = torch.nn.functional.pad(short, (0, PATCH_SAMPLES - 15_200))
    assert torch.equal(teacher(short).embedding, teacher(padded).embedding)


def test_a_long_clip_is_the_mean_of_its_patches(teacher: Yamnet) -> None:
    clip = torch.cat([sounds()["tone"], sounds()["noise"]], dim=1)
    n_patches = 1 + (2 * PATCH_SAMPLES - PATCH_SAMPLES) // HOP_SAMPLES
    parts = [
        teacher(clip[:, i * HOP_SAMPLES : i * HOP_SAMPLES + PATCH_SAMPLES])
        for i in range(n_patches)
    ]
    expected = torch.stack([part.embedding[0] for part in parts]).mean(dim=0)
    torch.testing.assert_close(teacher(clip).embedding[0], expected, rtol=1e-4, atol=1e-5)


def test_an_answer_does_not_depend_on_the_batch(teacher: Yamnet) -> None:
    every = list(sounds().values())
    together = teacher(torch.cat(every)).embedding
    for sound, embedding in zip(every, together, strict=True):
        torch.testing.assert_close(teacher(sound).embedding[0], embedding, rtol=1e-4, atol=1e-4)


def test_patches_overlap_by_half() -> None:
    samples = torch.arange(PATCH_SAMPLES + 2 * HOP_SAMPLES, dtype=torch.float32)[None]
    patches = cut_patches(samples)
    assert patches[0, :, 0].tolist() == [0, HOP_SAMPLES, 2 * HOP_SAMPLES]
    assert float(patches[0, 2, -1]) == float(samples[0, -1])


def test_filters_are_triangles_between_125_and_7500_hz() -> None:
    filters = mel_filters()
    frequency_hz = np.linspace(0, 8000, 257)
    inside = (frequency_hz > 125) & (frequency_hz < 7500)
    assert (filters[~inside] == 0).all()
    assert (filters.max(axis=0) <= 1).all()
    # Between the first and the last peak, neighbours share the weight of a bin: it sums to 1.
    peaks = filters.argmax(axis=0)
    between = slice(peaks[0] + 1, peaks[-1])
    np.testing.assert_allclose(filters[between].sum(axis=1), 1)


@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(96, 2, (0, 1)), (7, 2, (1, 1)), (6, 1, (1, 1))]
)
def test_padding_is_that_of_tensorflow(size: int, stride: int, padding: tuple[int, int]) -> None:
    image = torch.ones(1, 1, size, size)
    padded = SamePadding(stride)(image)
    assert padded.shape[2] == size + sum(padding)
    assert int((padded[0, 0, :, size // 2] == 0).int().argmax()) == (0 if padding[0] else size)
