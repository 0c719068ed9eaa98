"""One step, compared with a naive step in float64 that shares no code with it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import tiny_run
import torch
from torch import Tensor, nn

from training.model.frontend import mel_filters, windowed_fourier_kernel
from training.pretraining.step import StepMetrics, TrainState, train_step
from training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("narrow")

TOLERANCE = 1e-6
BATCH = 3


@pytest.fixture
def in_float64() -> Iterator[None]:
    """Compute, and draw, in float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


class Naive:
    """The step of the paper, written sample by sample.

    Only the order of the random draws is that of the code under test: background, share, box and
    line of each view; dropout of the target on both views, of the online encoder on both; then
    the rate and the dropout of each mixture.
    """

    def __init__(self, state: TrainState, recipe: Recipe) -> None:
        self.recipe, self.generator = recipe, generator(11)
        self.online = {
            name: value.requires_grad_() if name in dict(state.online.named_parameters()) else value
            for name, value in weights_of(state.online).items()
        }
        self.target = weights_of(state.target)
        self.kernel, self.filters = windowed_fourier_kernel(), mel_filters()
        self.mean, self.std = float(state.model.mean), float(state.model.std)
        self.bank = list(state.bank.inputs[: int(state.bank.pushed)].clone())

    def log_mel(self, clip: Tensor) -> Tensor:
        silence = torch.zeros(200)
        padded = torch.cat([silence, clip, silence])
        frames = []
        for t in range(1 + len(clip) // 160):
            spectrum = self.kernel[:, 0] @ padded[160 * t : 160 * t + 400]
            frames.append(self.filters @ (spectrum[:201] ** 2 + spectrum[201:] ** 2))
        return ((torch.stack(frames, dim=1) + 1.19e-7).log() - self.mean) / self.std

    def augment(self, clips: list[Tensor]) -> list[Tensor]:
        n = len(clips)
        chosen = torch.randint(len(self.bank), (n,), generator=self.generator).tolist()
        share = 0.2 * torch.rand(n, generator=self.generator)
        mixed = [
            ((1 - a) * x.exp() + a * self.bank[z].exp() + 1.19e-7).log()
            for x, z, a in zip(clips, chosen, share, strict=True)
        ]
        self.bank += clips
        boxes = torch.rand(4, n, generator=self.generator).T.tolist()
        ends = 2 * torch.rand(2, n, generator=self.generator) - 1
        views = []
        for x, box, head, tail in zip(mixed, boxes, *ends, strict=True):
            line = torch.stack([head + (tail - head) * t / 95 for t in range(96)])
            views.append(self.crop(x, box) + line)
        return views

    def crop(self, x: Tensor, draws: list[float]) -> Tensor:
        height = min(64, int((0.6 + 0.9 * draws[0]) * 64))
        top = int(draws[1] * (64 - height + 1))
        width = min(144, int((0.6 + 0.9 * draws[2]) * 96))
        left = int(draws[3] * (144 - width + 1))
        canvas = torch.zeros(64, 144)
        canvas[:, 24:120] = x
        box = canvas[None, None, top : top + height, left : left + width]
        return nn.functional.interpolate(box, (64, 96), mode="bicubic", align_corners=True)[0, 0]

    def encode(self, p: dict[str, Tensor], views: Tensor) -> Tensor:
        x = views.transpose(1, 2)[:, None]
        for i in "12":
            weight, bias = p[f"encoder.conv{i}.weight"], p[f"encoder.conv{i}.bias"]
            x = nn.functional.conv2d(x, weight, bias, padding=1)
            x = self.normalise(p, f"encoder.norm{i}", x.transpose(1, 3)).transpose(1, 3)
            x = nn.functional.max_pool2d(x.relu(), 2)
        local = torch.stack(
            [torch.cat([x[:, :, t, f] for f in range(16)], dim=1) for t in range(24)], dim=1
        )
        hidden = (local @ p["encoder.linear1.weight"].T + p["encoder.linear1.bias"]).relu()
        hidden = hidden * self.dropout_mask(hidden.shape) / 0.7
        mlp = (hidden @ p["encoder.linear2.weight"].T + p["encoder.linear2.bias"]).relu()
        frames = torch.cat([local, mlp], dim=2)
        return frames.sum(dim=1) / 24 + frames.max(dim=1).values

    def dropout_mask(self, shape: torch.Size) -> Tensor:
        """Draw 64 bits for every four values, 16 for each; 0.7 of the values are not dropped."""
        words = torch.empty(shape.numel() // 4, dtype=torch.int64)
        words.random_(-(2**63), None, generator=self.generator)
        bits = torch.from_numpy(words.numpy().view("<i2").astype("int64"))
        return (bits + 2**15 < 45875).double().reshape(shape)

    def normalise(self, p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
        """Batch normalisation of the last axis, and its running statistics."""
        values = x.reshape(-1, x.shape[-1])
        mean = values.sum(dim=0) / len(values)
        squares = ((values - mean) ** 2).sum(dim=0)
        for statistic, value in (("mean", mean), ("var", squares / (len(values) - 1))):
            running = p[f"{name}.running_{statistic}"]
            p[f"{name}.running_{statistic}"] = 0.9 * running + 0.1 * value.detach()
        normalised = (x - mean) / (squares / len(values) + 1e-5).sqrt()
        return normalised * p[f"{name}.weight"] + p[f"{name}.bias"]

    def head(self, p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
        x = x @ p[f"{name}.layers.0.weight"].T + p[f"{name}.layers.0.bias"]
        x = self.normalise(p, f"{name}.layers.1", x).relu()
        return x @ p[f"{name}.layers.3.weight"].T + p[f"{name}.layers.3.bias"]

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        terms = [
            2 - 2 * (p @ z) / (p.norm() * z.norm()) for p, z in zip(prediction, target, strict=True)
        ]
        return torch.stack(terms).sum() / len(terms)

    def difference(self, view: Tensor, y: Tensor, target: Tensor) -> Tensor:
        gamma = 0.4 + 0.2 * torch.rand(BATCH, generator=self.generator)
        mixture = [
            (gamma[n] * view[(n + 1) % BATCH].exp() + (1 - gamma[n]) * view[n].exp()).log()
            for n in range(BATCH)
        ]
        y_w = self.encode(self.online, torch.stack(mixture))
        remainder = torch.stack([y_w[n] - gamma[n] * y[(n + 1) % BATCH] for n in range(BATCH)])
        projection = self.head(self.online, "projector", remainder)
        return self.loss(self.head(self.online, "difference_predictor", projection), target)

    def step(self, clips: Tensor) -> tuple[float, float]:
        """Do the step; store gradients, new weights and averages in the dictionaries."""
        with torch.no_grad():
            log_mels = [self.log_mel(clip) for clip in clips]
            both = torch.stack(self.augment(log_mels) + self.augment(log_mels))
            mean = both.sum() / both.numel()
            both = (both - mean) / (((both - mean) ** 2).sum() / (both.numel() - 1)).sqrt()
            v, v_prime = both[:BATCH], both[BATCH:]
            z = self.head(self.target, "projector", self.encode(self.target, v))
            z_prime = self.head(self.target, "projector", self.encode(self.target, v_prime))
        y, y_prime = self.encode(self.online, v), self.encode(self.online, v_prime)
        projections = [self.head(self.online, "projector", each) for each in (y, y_prime)]
        byol = self.loss(self.head(self.online, "predictor", projections[0]), z_prime)
        byol = byol + self.loss(self.head(self.online, "predictor", projections[1]), z)
        difference = self.difference(v, y, z_prime) + self.difference(v_prime, y_prime, z)
        lambda_ = self.recipe.loss.lambda_
        ((1 - lambda_) * byol + lambda_ * difference).backward()  # type: ignore[no-untyped-call]
        self.update()
        return float(byol.detach()), float(difference.detach())

    @torch.no_grad()
    def update(self) -> None:
        """Do the first step of Adam, then the average."""
        self.gradients = {n: p.grad for n, p in self.online.items() if p.grad is not None}
        for name, gradient in self.gradients.items():
            first, second = 0.1 * gradient / (1 - 0.9), 0.001 * gradient**2 / (1 - 0.999)
            rate = self.recipe.optim.learning_rate
            self.online[name] = self.online[name] - rate * first / (second.sqrt() + 1e-8)
            if name in self.target:
                self.target[name] = 0.99 * self.target[name] + 0.01 * self.online[name]


class Stepped(NamedTuple):
    """The same step, by the code under test and by the naive reference."""

    state: TrainState
    metrics: StepMetrics
    naive: Naive
    losses: tuple[float, float]


@pytest.fixture
def stepped(in_float64: None) -> Stepped:
    recipe = tiny_run.recipe(loss={"lambda": 0.3})
    state = tiny_run.state(recipe)
    for module in (state.model, state.online, state.target):
        module.double()
    state.bank.push(tiny_run.log_mels(5, 4))
    # A step before has moved the target away from the online network.
    for parameter in state.target.parameters():
        parameter.mul_(1.1)
    naive, clips = Naive(state, recipe), tiny_run.crops(BATCH)
    metrics = train_step(state, clips, generator(11), recipe=recipe)
    return Stepped(state, metrics, naive, naive.step(clips))


def test_a_step_is_that_of_a_naive_float64_implementation(stepped: Stepped) -> None:
    state, metrics, naive, (byol, difference) = stepped
    assert metrics.byol == pytest.approx(byol, abs=TOLERANCE)
    assert metrics.difference == pytest.approx(difference, abs=TOLERANCE)
    assert metrics.loss == pytest.approx(0.7 * byol + 0.3 * difference, abs=TOLERANCE)
    length = math.sqrt(sum(float(g.square().sum()) for g in naive.gradients.values()))
    assert metrics.gradient_norm == pytest.approx(length, rel=TOLERANCE)
    for name, parameter in state.online.named_parameters():
        naive_gradient = naive.gradients[name]
        assert parameter.grad is not None
        largest = max(1.0, float(naive_gradient.abs().max()))
        assert (parameter.grad - naive_gradient).abs().max() <= TOLERANCE * largest
    for found, expected in ((state.online, naive.online), (state.target, naive.target)):
        for name, value in found.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                torch.testing.assert_close(value, expected[name].detach(), rtol=0, atol=TOLERANCE)
    pushed = torch.stack(naive.bank)
    # 5 + 3 + 3 inputs in a bank of 8: the first three were replaced.
    expected_bank = torch.cat([pushed[8:], pushed[3:8]])
    torch.testing.assert_close(state.bank.inputs, expected_bank, rtol=0, atol=TOLERANCE)
