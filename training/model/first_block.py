"""The encoder's first block in training: convolution, batch normalisation, pooling and ReLU."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.model.pooled_convolution import PooledConvolution, second_moments


def is_faster_for(x: Float[Tensor, "batch frames mels"]) -> bool:
    """Tell whether the block below can stand in for its layers: on a processor, ``x`` given."""
    return x.device.type == "cpu" and not x.requires_grad


def first_block(
    x: Float[Tensor, "batch frames mels"], conv: nn.Conv2d, norm: nn.BatchNorm2d
) -> Float[Tensor, "batch channels half_frames half_mels"]:
    """Compute ``max_pool2d(norm(conv(x)), 2).relu()`` in training mode.

    The convolution is linear in the 9 values that it sees, so the mean and the variance of its
    output follow from theirs, and normalisation becomes part of the convolution's weights.
    Updates the running statistics of ``norm``. The result lies channels-last in memory, and is
    computed in the precision of ``x`` under autocast, too.
    """
    assert conv.bias is not None
    with torch.autocast(x.device.type, enabled=False):
        padded = nn.functional.pad(x, (1, 1, 1, 1))
        seen, covariance = (moment.to(x.dtype) for moment in second_moments(padded))
        kernel = conv.weight.flatten(1).T
        mean = seen @ kernel + conv.bias
        variance = (kernel * (covariance @ kernel)).sum(dim=0)
        _follow(norm, mean, variance, x.numel())
        scale = norm.weight * (variance + norm.eps).rsqrt()
        shift = norm.bias + (conv.bias - mean) * scale
        pooled: Tensor = PooledConvolution.apply(padded, kernel * scale, shift)
    return pooled.permute(0, 3, 1, 2)


@torch.no_grad()
def _follow(
    norm: nn.BatchNorm2d,
    mean: Float[Tensor, " channels"],
    variance: Float[Tensor, " channels"],
    count: int,
) -> None:
    """Move the running statistics as the layer itself does in training."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
    norm.num_batches_tracked += 1
