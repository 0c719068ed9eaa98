from __future__ import annotations

import pytest
import tiny_run
import torch
from torch import Tensor

from training.pretraining.resize import crop_resize_matrix, random_resize_crop

# Interpolation in float32 against float64; the values have a standard deviation of 1.
TOLERANCE = 1e-4


def cut_and_resize(log_mel: Tensor, top: int, height: int, left: int, width: int) -> Tensor:
    """Cut a box out of the canvas of one clip [mels frames] and resize it, in float64."""
    mels, frames = log_mel.shape
    canvas = torch.zeros(mels, int(frames * 1.5), dtype=torch.float64)
    first = (canvas.shape[1] - frames) // 2
    canvas[:, first : first + frames] = log_mel
    box = canvas[top : top + height, left : left + width]
    return torch.nn.functional.interpolate(
        box[None, None], size=(mels, frames), mode="bicubic", align_corners=True
    )[0, 0]


def boxes(n: int, generator: torch.Generator) -> list[tuple[int, int, int, int]]:
    """Decode the draws of a batch: top, height, left and width of each box."""
    draws = torch.rand(4, n, generator=generator).double().tolist()
    found = []
    for height_draw, top_draw, width_draw, left_draw in zip(*draws, strict=True):
        height = max(1, min(64, int((0.6 + 0.9 * height_draw) * 64)))
        width = max(1, min(144, int((0.6 + 0.9 * width_draw) * 96)))
        top, left = int(top_draw * (64 - height + 1)), int(left_draw * (144 - width + 1))
        found.append((top, height, left, width))
    return found


def test_each_sample_is_a_box_resized_by_bicubic_interpolation() -> None:
    log_mel = tiny_run.log_mels(24)
    found = random_resize_crop(log_mel, torch.Generator().manual_seed(5))
    drawn = boxes(24, torch.Generator().manual_seed(5))
    for view, clip, box in zip(found, log_mel, drawn, strict=True):
        assert (view - cut_and_resize(clip, *box)).abs().max() < TOLERANCE


@pytest.mark.parametrize(
    ("start", "size"), [(0, 1), (3, 5), (0, 9), (2, 4), (-3, 8), (5, 9), (-5, 20)]
)
def test_the_matrix_cuts_and_interpolates(start: int, size: int) -> None:
    line = torch.randn(9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cut = torch.tensor([line[i] if 0 <= i < 9 else 0.0 for i in range(start, start + size)])
    expected = torch.nn.functional.interpolate(
        cut.double()[None, None, None], size=(1, 13), mode="bicubic", align_corners=True
    )[0, 0, 0]
    matrix = crop_resize_matrix(torch.tensor([start]), torch.tensor([size]), 9, 13)[0]
    assert (matrix.double() @ line - expected).abs().max() < TOLERANCE


def test_a_box_of_the_input_s_size_and_position_changes_nothing() -> None:
    log_mel = tiny_run.log_mels(3)
    generator = torch.Generator().manual_seed(0)
    same = random_resize_crop(log_mel, generator, scale=(1.0, 1.0), canvas_scale=1.0)
    assert torch.equal(same, log_mel)
