"""The first block in training against the layers that it stands for."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from training.model.first_block import first_block, is_faster_for

CHANNELS = 6


@pytest.fixture
def layers() -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Layers whose scales are positive, negative and almost zero."""
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(1, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -1.5, 0.3, -0.2, 1e-6, 2.0]))
        norm.bias.normal_()
    return conv.double(), norm.double()


def clips(n: int = 3, frames: int = 9, mels: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = 2.0 + torch.randn(n, frames, mels, generator=generator, dtype=torch.float64)
    x[:, :3] = 0.0  # where a crop reaches beyond its clip
    return x


def layer_by_layer(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    return nn.functional.max_pool2d(norm(conv(x[:, None])), 2).relu()


def test_block_is_its_layers(layers: tuple[nn.Conv2d, nn.BatchNorm2d]) -> None:
    ours, theirs = nn.ModuleList(layers), nn.ModuleList(copy.deepcopy(layers))
    for seed in (1, 2):  # the second time, running statistics are no longer fresh
        x = clips() * seed
        found, expected = first_block(x, *layers), layer_by_layer(x, *theirs)
        torch.testing.assert_close(found, expected)
        assert found.is_contiguous(memory_format=torch.channels_last)
        given = torch.randn(found.shape, generator=torch.Generator().manual_seed(seed)).to(found)
        for result in (found, expected):
            (result * given).sum().backward()  # type: ignore[no-untyped-call]  # by torch
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-8, atol=1e-10, msg=name)
    for (name, a), b in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


def test_the_bias_before_normalisation_gets_no_gradient(
    layers: tuple[nn.Conv2d, nn.BatchNorm2d],
) -> None:
    conv, norm = layers
    first_block(clips(), conv, norm).square().sum().backward()  # type: ignore[no-untyped-call]  # by torch
    assert conv.bias is not None
    assert conv.bias.grad is not None
    assert torch.equal(conv.bias.grad, torch.zeros_like(conv.bias))


def test_clips_without_any_change_stay_finite(layers: tuple[nn.Conv2d, nn.BatchNorm2d]) -> None:
    conv, norm = (layer.float() for layer in layers)
    x = torch.full((2, 8, 8), 40.0)
    block = first_block(x, conv, norm)
    block.sum().backward()  # type: ignore[no-untyped-call]  # by torch
    assert block.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in conv.parameters())


def test_precision_under_autocast_is_that_of_the_input(
    layers: tuple[nn.Conv2d, nn.BatchNorm2d],
) -> None:
    conv, norm = (layer.float() for layer in layers)
    x, twins = clips().float(), copy.deepcopy((conv, norm))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = first_block(x, conv, norm)
    assert torch.equal(found, first_block(x, *twins))


def test_an_input_that_wants_a_gradient_is_left_to_the_layers() -> None:
    assert is_faster_for(clips())
    assert not is_faster_for(clips().requires_grad_())
    assert not is_faster_for(clips().to("meta"))
