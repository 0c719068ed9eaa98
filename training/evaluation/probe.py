"""Linear evaluation: one linear layer on frozen, standardised features (paper, section 5.4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from training.evaluation.division import Division

CHUNK = 4_096  # rows that are predicted at once
SMALLEST_STD = 1e-8  # a feature that never moves stays 0

Monitor = Literal["loss", "accuracy"]


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """How a probe is trained (facts, section 5.1).

    Attributes:
        learning_rate: Of Adam.
        epochs: At most so many.
        patience: Epochs without an improvement after which it stops.
        batch_size: Rows of a step.
        monitor: What an improvement is: a lower loss on the validation rows, as the paper says, or
            an accuracy there that is not lower, as the evaluation code of its baseline has it.
    """

    learning_rate: float = 1e-3
    epochs: int = 200
    patience: int = 20
    batch_size: int = 200
    monitor: Monitor = "loss"


class Probe(nn.Module):
    """Standardisation by the training rows, and one linear layer.

    Args:
        mean: Of every feature over the training rows.
        std: Its standard deviation there.
        n_classes: Outputs.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, mean: Float[Tensor, " dim"], std: Float[Tensor, " dim"], n_classes: int
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.linear = nn.Linear(mean.numel(), n_classes)

    def forward(self, features: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows classes"]:
        """Give the logits of rows of raw features."""
        logits: Tensor = self.linear((features - self.mean) / self.std)
        return logits


def run_probe(
    features: Float32[np.ndarray, "clips dim"],
    labels: Int64[np.ndarray, " clips"],
    division: Division,
    settings: ProbeSettings,
    seed: int,
) -> float:
    """Train a probe and return its accuracy on the test rows, 0 to 1.

    The weights of the best epoch are the ones that are tested.

    Args:
        features: One row a clip; may be a file mapped into memory.
        labels: Class of every row, from 0.
        division: Rows to train on, to stop by and to test on.
        settings: Of the training.
        seed: Draws initial weights and the order of the rows.
    """
    generator = torch.Generator().manual_seed(seed)
    probe = _new_probe(features, division.train, int(labels.max()) + 1, generator)
    optimiser = torch.optim.Adam(
        probe.parameters(), lr=settings.learning_rate, eps=1e-8, weight_decay=1e-8
    )
    best, best_weights, waited = -np.inf, _weights(probe), 0
    for _ in range(settings.epochs):
        _train_epoch(
            probe, optimiser, _batches(division.train, settings, generator), features, labels
        )
        loss, accuracy = evaluate_probe(probe, features, labels, division.valid)
        score = -loss if settings.monitor == "loss" else accuracy
        improved = score > best or (settings.monitor == "accuracy" and score == best)
        waited = 0 if improved else waited + 1
        if improved:
            best, best_weights = score, _weights(probe)
        if waited >= settings.patience:
            break
    probe.load_state_dict(best_weights)
    return evaluate_probe(probe, features, labels, division.test)[1]


@torch.no_grad()
def evaluate_probe(
    probe: Probe,
    features: Float32[np.ndarray, "clips dim"],
    labels: Int64[np.ndarray, " clips"],
    rows: Int64[np.ndarray, " rows"],
) -> tuple[float, float]:
    """Return the mean cross-entropy and the accuracy over some rows."""
    loss, right = 0.0, 0
    for first in range(0, rows.size, CHUNK):
        chunk = rows[first : first + CHUNK]
        logits, wanted = probe(_take(features, chunk)), torch.from_numpy(labels[chunk])
        loss += float(nn.functional.cross_entropy(logits, wanted, reduction="sum"))
        right += int((logits.argmax(dim=1) == wanted).sum())
    return loss / rows.size, right / rows.size


def _new_probe(
    features: Float32[np.ndarray, "clips dim"],
    rows: Int64[np.ndarray, " rows"],
    n_classes: int,
    generator: torch.Generator,
) -> Probe:
    """Standardise by the rows; draw weights as torch does, but from the generator."""
    mean, square = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    for first in range(0, rows.size, CHUNK):
        chunk = features[rows[first : first + CHUNK]].astype(np.float64)
        mean += chunk.sum(axis=0) / rows.size
        square += np.square(chunk).sum(axis=0) / rows.size
    std = np.sqrt((square - mean**2).clip(min=0.0))
    std = np.where(std > SMALLEST_STD, std, 1.0)
    probe = Probe(torch.from_numpy(mean).float(), torch.from_numpy(std).float(), n_classes)
    bound = features.shape[1] ** -0.5
    for parameter in probe.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return probe


def _train_epoch(
    probe: Probe,
    optimiser: torch.optim.Optimizer,
    batches: Iterator[Int64[np.ndarray, " batch"]],
    features: Float32[np.ndarray, "clips dim"],
    labels: Int64[np.ndarray, " clips"],
) -> None:
    for rows in batches:
        loss = nn.functional.cross_entropy(
            probe(_take(features, rows)), torch.from_numpy(labels[rows])
        )
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()


def _batches(
    rows: Int64[np.ndarray, " rows"], settings: ProbeSettings, generator: torch.Generator
) -> Iterator[Int64[np.ndarray, " batch"]]:
    order = rows[torch.randperm(rows.size, generator=generator).numpy()]
    for first in range(0, rows.size, settings.batch_size):
        yield order[first : first + settings.batch_size]


def _take(
    features: Float32[np.ndarray, "clips dim"], rows: Int64[np.ndarray, " rows"]
) -> Float[Tensor, "rows dim"]:
    return torch.from_numpy(features[rows])


def _weights(probe: Probe) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in probe.state_dict().items()}
