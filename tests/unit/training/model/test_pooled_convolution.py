"""The convolution that is pooled on the way, against torch's layers in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from training.model.pooled_convolution import PooledConvolution, second_moments

SIZES = [(1, 4, 4), (3, 6, 10), (5, 7, 5)]  # clips, frames and mels; odd ones too


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
def test_values_and_gradients_are_those_of_torchs_layers(size: tuple[int, int, int]) -> None:
    x, kernel, shift = inputs(size)
    found, expected = pooled(x, kernel, shift), naive(x, kernel, shift)
    torch.testing.assert_close(found, expected)
    of = (kernel, shift)
    torch.testing.assert_close(gradients(found, *of), gradients(expected, *of))


def test_gradients_are_those_of_finite_differences() -> None:
    x, kernel, shift = inputs((2, 6, 4))
    assert torch.autograd.gradcheck(lambda k, s: pooled(x, k, s), (kernel, shift))


def test_of_equal_values_the_first_takes_the_gradient() -> None:
    # The four values of a window are equal, but what the kernel sees of the next windows is not.
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


def test_a_value_that_is_not_a_number_stays_one() -> None:
    x, kernel, shift = inputs((1, 4, 4))
    x[0, 1, 1] = torch.nan
    assert pooled(x, kernel, shift)[0, 0, 0].isnan().all()


@pytest.mark.parametrize("size", SIZES)
def test_moments_are_those_of_what_a_kernel_sees(size: tuple[int, int, int]) -> None:
    x, _, _ = inputs(size)
    x = x + 3.0
    seen = pad(x).unfold(1, 3, 1).unfold(2, 3, 1).reshape(-1, 9)
    mean, covariance = second_moments(pad(x))
    torch.testing.assert_close(mean, seen.mean(dim=0))
    torch.testing.assert_close(covariance, seen.T.cov(correction=0))
