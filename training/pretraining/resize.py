"""Random resize crop of a whole batch, as two small matrix products per sample."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

CUBIC = -0.75  # the cubic convolution coefficient of torch's bicubic interpolation


def random_resize_crop(
    log_mel: Float[Tensor, "batch mels frames"],
    generator: torch.Generator,
    *,
    scale: tuple[float, float] = (0.6, 1.5),
    canvas_scale: float = 1.5,
) -> Float[Tensor, "batch mels frames"]:
    """Cut a random box out of a wider canvas and resize it to the input's size.

    The canvas is ``canvas_scale`` times as long as the input, which lies in its middle; the rest
    is zeros, the mean of normalised values. Height and width of the box are those of the input
    times U(scale), limited to the canvas; its position is uniform. It is resized by bicubic
    interpolation with aligned corners, which reads nothing outside the box (docs/method.md,
    "Augmentation").

    Args:
        log_mel: Normalised log-mel.
        generator: Source of the boxes.
        scale: Smallest and largest size of a box, relative to the input's size.
        canvas_scale: Length of the canvas relative to the input's, at least 1.
    """
    batch, mels, frames = log_mel.shape
    canvas = int(frames * canvas_scale)
    draws = torch.rand(4, batch, generator=generator, device=log_mel.device)
    height, top = _draw_interval(draws[:2], mels, mels, scale)
    width, left = _draw_interval(draws[2:], frames, canvas, scale)
    rows = crop_resize_matrix(top, height, mels, mels)
    left_in_input = left - (canvas - frames) // 2
    columns = crop_resize_matrix(left_in_input, width, frames, frames)
    return rows.to(log_mel) @ log_mel @ columns.to(log_mel).transpose(1, 2)


def crop_resize_matrix(
    start: Int[Tensor, " batch"], size: Int[Tensor, " batch"], length: int, n_out: int
) -> Float[Tensor, "batch out length"]:
    """Build matrices that cut out ``[start, start + size)`` and resize it to ``n_out`` values.

    The input counts as zero outside ``[0, length)``.

    Args:
        start: First position of the cut; may be negative.
        size: Length of the cut, at least 1.
        length: Length of the input.
        n_out: Length of the output, at least 2.
    """
    steps = torch.arange(n_out, device=start.device)
    position = steps * (size.unsqueeze(1) - 1) / (n_out - 1)
    base = position.floor()
    taps = torch.arange(-1, 3, device=start.device)
    weights = _cubic((position - base).unsqueeze(2) - taps)
    index = (base.unsqueeze(2) + taps).clamp(min=0).minimum((size - 1)[:, None, None]).long()
    index = index + start[:, None, None]
    inside = (index >= 0) & (index < length)
    weights = torch.where(inside, weights, torch.zeros_like(weights))
    matrix = torch.zeros(len(start), n_out, length, device=start.device)
    return matrix.scatter_add_(2, index.clamp(0, length - 1), weights)


def _draw_interval(
    draws: Float[Tensor, "2 batch"], length: int, limit: int, scale: tuple[float, float]
) -> tuple[Int[Tensor, " batch"], Int[Tensor, " batch"]]:
    """Draw sizes ``length`` times U(scale), at most ``limit``, and starts uniform within it."""
    low, high = scale
    size = ((low + (high - low) * draws[0]) * length).long().clamp(1, limit)
    start = (draws[1] * (limit - size + 1)).long()
    return size, start


def _cubic(distance: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Evaluate the cubic convolution kernel at a distance of 0 to 2 positions."""
    x = distance.abs()
    near = ((CUBIC + 2.0) * x - (CUBIC + 3.0)) * x * x + 1.0
    far = ((CUBIC * x - 5.0 * CUBIC) * x + 8.0 * CUBIC) * x - 4.0 * CUBIC
    return torch.where(x <= 1.0, near, torch.where(x < 2.0, far, torch.zeros_like(x)))
