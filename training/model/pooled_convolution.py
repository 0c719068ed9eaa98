"""A convolution of one channel, pooled and rectified before it is ever written down.

The convolution's output is 64 times its input, and pooling keeps a quarter of it: where memory is
slower than arithmetic, to write it, read it and write its gradient costs far more than to compute
it, twice. So one pass goes from the input to the pooled values, and one back. Compiled by numba,
for a processor; a thread takes some clips.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import numba
import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.autograd.function import once_differentiable

TAPS = 9  # of a kernel of 3 x 3
P = ParamSpec("P")
R = TypeVar("R")


class PooledConvolution(torch.autograd.Function):
    """``relu(max_pool2d(conv2d(x, kernel), 2) + shift)``, channels last; no gradient to ``x``.

    Of equal values in a window the first takes the gradient, as in ``max_pool2d``. Sums over
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
            ctx: Of autograd.
            padded: Input with a border of zeros.
            kernel: Weights, tap by tap in reading order.
            shift: Added to each channel.
        """
        batch, frames, mels = padded.shape
        pooled = padded.new_empty(batch, (frames - 2) // 2, (mels - 2) // 2, len(shift))
        kernel = kernel.contiguous()
        _for_each_clip(_pool, padded, pooled, shared=(kernel, shift))
        ctx.save_for_backward(padded, kernel, pooled)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Float[Tensor, "batch half_frames half_mels channels"]
    ) -> tuple[None, Float[Tensor, "9 channels"], Float[Tensor, " channels"]]:
        """Lead the gradient of each pooled value to the position it came from."""
        padded, kernel, pooled = ctx.saved_tensors
        sums = padded.new_zeros(len(padded), TAPS + 1, kernel.shape[1])
        _for_each_clip(_unpool, padded, pooled, gradient.contiguous(), sums, shared=(kernel,))
        total = sums.sum(dim=0)
        return None, total[:TAPS], total[TAPS]


def second_moments(
    padded: Float[Tensor, "batch frames_and_2 mels_and_2"],
) -> tuple[Float64[Tensor, " 9"], Float64[Tensor, "9 9"]]:
    """Compute mean and covariance of the 9 values under a kernel, over batch and positions."""
    batch, frames, mels = padded.shape
    sums = torch.zeros(batch, TAPS + 1, TAPS, dtype=torch.float64)
    _for_each_clip(_correlate, padded, sums, shared=())
    mean, *products = sums.sum(dim=0) / (batch * (frames - 2) * (mels - 2))
    return mean, torch.stack(products) - mean.outer(mean)


def _for_each_clip(
    function: Callable[..., None], *arrays: Tensor, shared: tuple[Tensor, ...]
) -> None:
    """Call a compiled function with clips of ``arrays`` and all of ``shared``, by some threads."""
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
    """Read the 4 x 4 values under a pooled value, row by row."""
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
    """Convolve at the four positions of a window."""
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
def _pool(padded: Any, pooled: Any, kernel: Any, shift: Any) -> None:
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
def _unpool(padded: Any, pooled: Any, gradient: Any, sums: Any, kernel: Any) -> None:
    batch, frames, mels, channels = pooled.shape
    zero = kernel.dtype.type(0)
    at = np.empty((4, channels), kernel.dtype)
    for n in range(batch):
        for frame in range(frames):
            for mel in range(mels):
                x = _window(padded[n], 2 * frame, 2 * mel)
                out, given, total = pooled[n, frame, mel], gradient[n, frame, mel], sums[n, 9]
                for channel in range(channels):
                    p0, p1, p2, p3 = _convolve(x, kernel, channel)
                    whole = zero if out[channel] <= zero else given[channel]
                    upper = whole if max(p0, p1) >= max(p2, p3) else zero
                    lower = whole - upper
                    first = upper if p0 >= p1 else zero
                    third = lower if p2 >= p3 else zero
                    at[0, channel], at[1, channel] = first, upper - first
                    at[2, channel], at[3, channel] = third, lower - third
                    total[channel] += whole
                for tap in range(9):
                    seen = padded[n, 2 * frame + tap // 3 :, 2 * mel + tap % 3 :]
                    _add_products(seen, at, sums[n, tap])


@compiled
def _add_products(seen: Any, at: Any, total: Any) -> None:
    x0, x1, x2, x3 = seen[0, 0], seen[0, 1], seen[1, 0], seen[1, 1]
    for channel in range(len(total)):
        total[channel] += (
            x0 * at[0, channel] + x1 * at[1, channel] + x2 * at[2, channel] + x3 * at[3, channel]
        )


@compiled
def _correlate(padded: Any, sums: Any) -> None:
    """Sum what each tap sees (row 0), and its products with what each other sees (rows 1 to 9)."""
    batch, frames, mels = padded.shape[0], padded.shape[1] - 2, padded.shape[2] - 2
    for n in range(batch):
        for frame in range(frames):
            for a in range(9):
                seen = padded[n, frame + a // 3, a % 3 : a % 3 + mels]
                sums[n, 0, a] += seen.sum()
                for b in range(a, 9):
                    also = padded[n, frame + b // 3, b % 3 : b % 3 + mels]
                    product = padded.dtype.type(0)
                    for mel in range(mels):
                        product += seen[mel] * also[mel]
                    sums[n, 1 + a, b] += product
        for a in range(9):
            for b in range(a):
                sums[n, 1 + a, b] = sums[n, 1 + b, a]
