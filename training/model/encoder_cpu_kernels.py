"""CPU kernels, compiled by numba, for the encoder's first block in training.

Reference: the arguments of ``first_block``, applied one after the other as layers.

    pool(norm(conv(x))) = relu(max_pool2d(batch_norm(conv2d(x)), 2))

tests/unit/training/model/test_encoder_cpu_kernels.py holds values, gradients and running
statistics to these layers in float64. ``can_compute`` refuses layers that the kernels do not
equal; the encoder then runs the layers themselves.

The output of the convolution is 64 times as large as its input, and pooling reduces it to a
quarter. On a processor, writing it, reading it and writing its gradient takes far longer than
computing it twice. So one pass goes from the input to the pooled values, and one back.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import numba
import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

TAPS = 9  # of a kernel of 3 x 3
P = ParamSpec("P")
R = TypeVar("R")


def can_compute(
    x: Float[Tensor, "batch frames mels"],
    conv: nn.Conv2d,
    norm: nn.BatchNorm2d,
    pool: nn.Module,
) -> bool:
    """Check that ``first_block`` equals these layers in training, on the processor."""
    return x.device.type == "cpu" and not x.requires_grad and _are_known(conv, norm, pool)


def first_block(
    x: Float[Tensor, "batch frames mels"],
    conv: nn.Conv2d,
    norm: nn.BatchNorm2d,
    pool: nn.Module,
) -> Float[Tensor, "batch channels half_frames half_mels"]:
    """Compute ``pool(norm(conv(x)))`` in training mode.

    The convolution is linear in the 9 values of its window. So the mean and the variance of its
    output follow from those of the window, and normalisation becomes part of the kernel:

        mean = E[window] kernel + bias            scale = weight / sqrt(variance + eps)
        variance = kernel' Cov[window] kernel     shift = norm.bias + (conv.bias - mean) scale

    Updates the running statistics of ``norm``. The result is channels-last in memory, and is
    computed in the precision of ``x``, also under autocast.

    Raises:
        ValueError: The kernels do not compute these layers.
    """
    if not _are_known(conv, norm, pool):
        raise ValueError(
            f"the CPU kernels compute a 3x3 convolution of one channel, batch normalisation, the "
            f"maximum of 2x2 and ReLU, not {conv}, {norm}, {pool}"
        )
    assert conv.bias is not None
    with torch.autocast(x.device.type, enabled=False):
        padded = nn.functional.pad(x, (1, 1, 1, 1))
        window_mean, covariance = (moment.to(x.dtype) for moment in second_moments(padded))
        kernel = conv.weight.flatten(1).T
        mean = window_mean @ kernel + conv.bias
        variance = (kernel * (covariance @ kernel)).sum(dim=0)
        _update_running_statistics(norm, mean, variance, x.numel())
        scale = norm.weight * (variance + norm.eps).rsqrt()
        shift = norm.bias + (conv.bias - mean) * scale
        pooled: Tensor = PooledConvolution.apply(padded, kernel * scale, shift)
    return pooled.permute(0, 3, 1, 2)


def _are_known(conv: nn.Conv2d, norm: nn.BatchNorm2d, pool: nn.Module) -> bool:
    geometry = (conv.in_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    if geometry != (1, (3, 3), (1, 1), (1, 1), (1, 1)) or conv.padding_mode != "zeros":
        return False
    if conv.bias is None or type(norm) is not nn.BatchNorm2d or norm.momentum is None:
        return False
    if not (norm.training and norm.affine and norm.track_running_stats):
        return False
    if [type(layer) for layer in pool.children()] != [nn.MaxPool2d, nn.ReLU]:
        return False
    maximum = next(pool.children())
    assert isinstance(maximum, nn.MaxPool2d)
    sizes = (maximum.kernel_size, maximum.stride, maximum.padding, maximum.dilation)
    return sizes == (2, 2, 0, 1) and not maximum.ceil_mode


@torch.no_grad()
def _update_running_statistics(
    norm: nn.BatchNorm2d,
    mean: Float[Tensor, " channels"],
    variance: Float[Tensor, " channels"],
    count: int,
) -> None:
    """Update the running statistics as ``BatchNorm2d`` does in training."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
    norm.num_batches_tracked += 1


class PooledConvolution(torch.autograd.Function):
    """``relu(max_pool2d(conv2d(x, kernel), 2) + shift)``, channels last; no gradient to ``x``.

    Of equal values in a window, the first gets the gradient, as in ``max_pool2d``. Sums over
    positions are taken clip by clip, so that they do not depend on the number of threads.
    """

    @staticmethod
    def forward(
        ctx: Any,
        padded: Float[Tensor, "batch frames_and_2 mels_and_2"],
        kernel: Float[Tensor, "9 channels"],
        shift: Float[Tensor, " channels"],
    ) -> Float[Tensor, "batch half_frames half_mels channels"]:
        """Convolve, pool, shift, rectify.

        Args:
            ctx: Context of autograd.
            padded: Input with a border of zeros.
            kernel: Weights, tap by tap in reading order.
            shift: Added to each channel.
        """
        batch, frames, mels = padded.shape
        pooled = padded.new_empty(batch, (frames - 2) // 2, (mels - 2) // 2, len(shift))
        kernel = kernel.contiguous()
        _for_each_clip(_convolve_and_pool, padded, pooled, shared=(kernel, shift))
        ctx.save_for_backward(padded, kernel, pooled)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Float[Tensor, "batch half_frames half_mels channels"]
    ) -> tuple[None, Float[Tensor, "9 channels"], Float[Tensor, " channels"]]:
        """Compute the gradients of kernel and shift; the convolution is computed again."""
        padded, kernel, pooled = ctx.saved_tensors
        sums = padded.new_zeros(len(padded), TAPS + 1, kernel.shape[1])
        _for_each_clip(
            _sum_gradients, padded, pooled, gradient.contiguous(), sums, shared=(kernel,)
        )
        total = sums.sum(dim=0)
        return None, total[:TAPS], total[TAPS]


def second_moments(
    padded: Float[Tensor, "batch frames_and_2 mels_and_2"],
) -> tuple[Float64[Tensor, " 9"], Float64[Tensor, "9 9"]]:
    """Compute mean and covariance of the 9 values of a window, over batch and positions."""
    batch, frames, mels = padded.shape
    sums = torch.zeros(batch, TAPS + 1, TAPS, dtype=torch.float64)
    _for_each_clip(_sum_moments, padded, sums, shared=())
    mean, *products = sums.sum(dim=0) / (batch * (frames - 2) * (mels - 2))
    return mean, torch.stack(products) - mean.outer(mean)


def _for_each_clip(
    function: Callable[..., None], *arrays: Tensor, shared: tuple[Tensor, ...]
) -> None:
    """Call a compiled function in threads, each with some clips of ``arrays`` and ``shared``."""
    n_threads = torch.get_num_threads()
    parts = zip(*(array.detach().tensor_split(n_threads) for array in arrays), strict=True)
    whole = [array.detach().numpy() for array in shared]
    with ThreadPoolExecutor(n_threads) as pool:
        for _ in pool.map(lambda part: function(*(a.numpy() for a in part), *whole), parts):
            pass


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile at the first call; sums may be reordered, so that they use the vector registers."""
    options = {"contract", "nsz", "reassoc"}
    fast: Callable[P, R] = numba.njit(nogil=True, fastmath=options, error_model="numpy")(function)
    return fast


@compiled
def _window(clip: Any, frame: int, mel: int) -> Any:
    """Read the 4 x 4 values that a pooled value depends on, row by row."""
    a, b = clip[frame, mel : mel + 4], clip[frame + 1, mel : mel + 4]
    c, d = clip[frame + 2, mel : mel + 4], clip[frame + 3, mel : mel + 4]
    return (
        *(a[0], a[1], a[2], a[3]),
        *(b[0], b[1], b[2], b[3]),
        *(c[0], c[1], c[2], c[3]),
        *(d[0], d[1], d[2], d[3]),
    )


@compiled
def _convolve(x: Any, kernel: Any, channel: int) -> Any:
    """Convolve at the 2 x 2 positions of a window, in reading order."""
    weight = kernel[0, channel]
    p0, p1, p2, p3 = weight * x[0], weight * x[1], weight * x[4], weight * x[5]
    for tap in range(1, 9):
        first = 4 * (tap // 3) + tap % 3
        weight = kernel[tap, channel]
        p0 += weight * x[first]
        p1 += weight * x[first + 1]
        p2 += weight * x[first + 4]
        p3 += weight * x[first + 5]
    return p0, p1, p2, p3


@compiled
def _convolve_and_pool(padded: Any, pooled: Any, kernel: Any, shift: Any) -> None:
    """Fill ``pooled`` with ``relu(max of the 2 x 2 positions + shift)``."""
    batch, frames, mels, channels = pooled.shape
    zero = kernel.dtype.type(0)
    for n in range(batch):
        for frame in range(frames):
            for mel in range(mels):
                x = _window(padded[n], 2 * frame, 2 * mel)
                out = pooled[n, frame, mel]
                for channel in range(channels):
                    p0, p1, p2, p3 = _convolve(x, kernel, channel)
                    largest = max(max(p0, p1), max(p2, p3)) + shift[channel]
                    out[channel] = zero if largest < zero else largest  # NaN stays


@compiled
def _sum_gradients(padded: Any, pooled: Any, gradient: Any, sums: Any, kernel: Any) -> None:
    """Sum the gradients of the kernel (rows 0 to 8 of ``sums``) and of the shift (row 9).

    Let g be the gradient of a pooled value, or 0 where ReLU gave 0, and (i, j) the position of
    the maximum among the 2 x 2. Summed over all pooled values:

        d kernel[tap] = g * padded[2 frame + i + tap // 3, 2 mel + j + tap % 3]
        d shift       = g
    """
    batch, frames, mels, channels = pooled.shape
    zero = kernel.dtype.type(0)
    at = np.empty((4, channels), kernel.dtype)  # g at the maximum, 0 at the other 3 positions
    for n in range(batch):
        for frame in range(frames):
            for mel in range(mels):
                x = _window(padded[n], 2 * frame, 2 * mel)
                out, g, total = pooled[n, frame, mel], gradient[n, frame, mel], sums[n, 9]
                for channel in range(channels):
                    p0, p1, p2, p3 = _convolve(x, kernel, channel)
                    whole = zero if out[channel] <= zero else g[channel]
                    upper = whole if max(p0, p1) >= max(p2, p3) else zero
                    lower = whole - upper
                    first = upper if p0 >= p1 else zero
                    third = lower if p2 >= p3 else zero
                    at[0, channel], at[1, channel] = first, upper - first
                    at[2, channel], at[3, channel] = third, lower - third
                    total[channel] += whole
                for tap in range(9):
                    inputs = padded[n, 2 * frame + tap // 3 :, 2 * mel + tap % 3 :]
                    _add_products(inputs, at, sums[n, tap])


@compiled
def _add_products(inputs: Any, at: Any, total: Any) -> None:
    """Add the products of one tap's 2 x 2 inputs with the gradients at these positions."""
    x0, x1, x2, x3 = inputs[0, 0], inputs[0, 1], inputs[1, 0], inputs[1, 1]
    for channel in range(len(total)):
        total[channel] += (
            x0 * at[0, channel] + x1 * at[1, channel] + x2 * at[2, channel] + x3 * at[3, channel]
        )


@compiled
def _sum_moments(padded: Any, sums: Any) -> None:
    """Sum the inputs of each tap (row 0), and their products with every other's (rows 1 to 9)."""
    batch, frames, mels = padded.shape[0], padded.shape[1] - 2, padded.shape[2] - 2
    for n in range(batch):
        for frame in range(frames):
            for a in range(9):
                inputs = padded[n, frame + a // 3, a % 3 : a % 3 + mels]
                sums[n, 0, a] += inputs.sum()
                for b in range(a, 9):
                    others = padded[n, frame + b // 3, b % 3 : b % 3 + mels]
                    product = padded.dtype.type(0)
                    for mel in range(mels):
                        product += inputs[mel] * others[mel]
                    sums[n, 1 + a, b] += product
        for a in range(9):
            for b in range(a):
                sums[n, 1 + a, b] = sums[n, 1 + b, a]
