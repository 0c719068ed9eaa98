"""The CPU kernels, compared in float64 with the torch layers that they replace."""

from __future__ import annotations

import copy

import pytest
import tiny_run
import torch
from torch import Tensor, nn

from training.model import encoder_cpu_kernels
from training.model.encoder import AudioEncoder
from training.model.encoder_cpu_kernels import (
    PooledConvolution,
    can_compute,
    first_block,
    second_moments,
)

CHANNELS = 6
SIZES = [(1, 4, 4), (3, 6, 10), (5, 7, 5)]  # clips, frames and mels; odd ones too

Layers = tuple[nn.Conv2d, nn.BatchNorm2d, nn.Sequential]


@pytest.fixture
def layers() -> Layers:
    """Layers whose scales are positive, negative and almost zero."""
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(1, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -1.5, 0.3, -0.2, 1e-6, 2.0]))
        norm.bias.normal_()
    return conv.double(), norm.double(), nn.Sequential(nn.MaxPool2d(2), nn.ReLU())


def clips(n: int = 3, frames: int = 9, mels: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = 2.0 + torch.randn(n, frames, mels, generator=generator, dtype=torch.float64)
    x[:, :3] = 0.0  # where a crop reaches beyond its clip
    return x


def layer_by_layer(x: Tensor, conv: nn.Module, norm: nn.Module, pool: nn.Module) -> Tensor:
    """The reference."""
    result: Tensor = pool(norm(conv(x[:, None])))
    return result


def test_the_block_equals_its_layers(layers: Layers) -> None:
    ours, theirs = nn.ModuleList(layers), nn.ModuleList(copy.deepcopy(layers))
    for seed in (1, 2):  # the second time, running statistics are no longer those of the start
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


def test_constant_clips_stay_finite(layers: Layers) -> None:
    conv, norm, pool = layers
    x = torch.full((2, 8, 8), 40.0)
    block = first_block(x, conv.float(), norm.float(), pool)
    block.sum().backward()  # type: ignore[no-untyped-call]  # by torch
    assert block.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in conv.parameters())


def test_precision_under_autocast_is_that_of_the_input(layers: Layers) -> None:
    for layer in layers:
        layer.float()
    x, copies = clips().float(), copy.deepcopy(layers)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = first_block(x, *layers)
    assert torch.equal(found, first_block(x, *copies))


def test_an_input_with_a_gradient_or_on_another_device_is_left_to_the_layers(
    layers: Layers,
) -> None:
    assert can_compute(clips(), *layers)
    assert not can_compute(clips().requires_grad_(), *layers)
    assert not can_compute(clips().to("meta"), *layers)


@pytest.mark.parametrize(
    "changed",
    [
        nn.Conv2d(1, CHANNELS, 3, padding=1, stride=2),
        nn.Conv2d(1, CHANNELS, 3, padding=1, bias=False),
        nn.Conv2d(1, CHANNELS, 5, padding=2),
        nn.BatchNorm2d(CHANNELS, momentum=None),
        nn.BatchNorm2d(CHANNELS).eval(),
        nn.Sequential(nn.AvgPool2d(2), nn.ReLU()),
        nn.Sequential(nn.MaxPool2d(2)),
        nn.Sequential(nn.MaxPool2d(3, 2), nn.ReLU()),
        nn.MaxPool2d(2),
        nn.Sequential(),
    ],
    ids=str,
)
def test_layers_that_the_kernels_do_not_equal_are_refused(
    layers: Layers, changed: nn.Module
) -> None:
    conv, norm, pool = layers
    if isinstance(changed, nn.Conv2d):
        conv = changed
    elif isinstance(changed, nn.BatchNorm2d):
        norm = changed
    else:
        pool = changed
    assert not can_compute(clips(), conv, norm, pool)
    with pytest.raises(ValueError, match="the CPU kernels compute a 3x3 convolution"):
        first_block(clips(), conv, norm, pool)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("maximum", [True, False])
def test_training_on_the_cpu_follows_the_encoder_s_pooling(
    monkeypatch: pytest.MonkeyPatch, maximum: bool
) -> None:
    """With its own pooling the encoder uses the kernels; after a change, the changed layers."""
    torch.manual_seed(0)
    encoder, log_mel = AudioEncoder().train(), tiny_run.log_mels(2)
    if not maximum:
        encoder.pool = nn.Sequential(nn.AvgPool2d(2), nn.ReLU())
    assert can_compute(log_mel, encoder.conv1, encoder.norm1, encoder.pool) is maximum
    layers_only = copy.deepcopy(encoder)
    found = encoder(log_mel, torch.Generator().manual_seed(1))
    monkeypatch.setattr(encoder_cpu_kernels, "can_compute", lambda *_: False)
    expected = layers_only(log_mel, torch.Generator().manual_seed(1))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def inputs(size: tuple[int, int, int], channels: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(size, generator=generator, dtype=torch.float64)
    kernel = torch.randn(9, channels, generator=generator, dtype=torch.float64)
    shift = torch.randn(channels, generator=generator, dtype=torch.float64)
    return x, kernel.requires_grad_(), shift.requires_grad_()


def pad(x: Tensor) -> Tensor:
    return nn.functional.pad(x, (1, 1, 1, 1))


def pooled(x: Tensor, kernel: Tensor, shift: Tensor) -> Tensor:
    result: Tensor = PooledConvolution.apply(pad(x), kernel, shift)  # type: ignore[no-untyped-call]  # by torch
    return result


def naive(x: Tensor, kernel: Tensor, shift: Tensor) -> Tensor:
    weight = kernel.T.reshape(-1, 1, 3, 3)
    convolved = nn.functional.conv2d(x[:, None], weight, shift, padding=1)
    return nn.functional.max_pool2d(convolved, 2).relu().permute(0, 2, 3, 1)


def gradients(result: Tensor, *of: Tensor) -> tuple[Tensor, ...]:
    given = torch.randn(result.shape, generator=torch.Generator().manual_seed(1)).to(result)
    return torch.autograd.grad(result, of, given)


@pytest.mark.parametrize("size", SIZES)
def test_values_and_gradients_equal_those_of_torch(size: tuple[int, int, int]) -> None:
    x, kernel, shift = inputs(size)
    found, expected = pooled(x, kernel, shift), naive(x, kernel, shift)
    torch.testing.assert_close(found, expected)
    of = (kernel, shift)
    torch.testing.assert_close(gradients(found, *of), gradients(expected, *of))


def test_of_equal_values_the_first_gets_the_gradient() -> None:
    # The four values of a window are equal, but the inputs around them are not.
    x = torch.arange(12.0, dtype=torch.float64).reshape(1, 3, 4)
    x = x.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    kernel = torch.zeros(9, 1, dtype=torch.float64)
    kernel[4] = 1.0
    kernel.requires_grad_()
    shift = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    of = (kernel, shift)
    torch.testing.assert_close(
        gradients(pooled(x, *of), *of), gradients(naive(x, *of), *of), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bits_do_not_depend_on_the_number_of_threads(dtype: torch.dtype) -> None:
    x, kernel, shift = (array.detach().to(dtype) for array in inputs((5, 6, 8)))
    before, found = torch.get_num_threads(), []
    for n in (1, 2, 7):  # more threads than clips, too
        torch.set_num_threads(n)
        of = kernel.clone().requires_grad_(), shift.clone().requires_grad_()
        result = pooled(x, *of)
        found.append([result, *gradients(result, *of), *second_moments(pad(x))])
    torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_nan_stays_nan() -> None:
    x, kernel, shift = inputs((1, 4, 4))
    x[0, 1, 1] = torch.nan
    assert pooled(x, kernel, shift)[0, 0, 0].isnan().all()


@pytest.mark.parametrize("size", SIZES)
def test_moments_are_those_of_the_windows(size: tuple[int, int, int]) -> None:
    x, _, _ = inputs(size)
    x = x + 3.0
    windows = pad(x).unfold(1, 3, 1).unfold(2, 3, 1).reshape(-1, 9)
    mean, covariance = second_moments(pad(x))
    torch.testing.assert_close(mean, windows.mean(dim=0))
    torch.testing.assert_close(covariance, windows.T.cov(correction=0))
