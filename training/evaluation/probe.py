"""Linear probe: one linear layer on frozen, standardised features (paper, section 5.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from training.evaluation.row_splits import RowSplits

CHUNK = 4_096  # rows processed at once
SMALLEST_STD = 1e-8  # a feature of a smaller deviation is not scaled

Monitor = Literal["loss", "accuracy"]


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """Settings of the training of a probe (docs/method.md, "Procedure of linear evaluation").

    Attributes:
        learning_rate: Of Adam.
        epochs: Largest number of epochs.
        patience: Epochs without an improvement after which training stops.
        batch_size: Rows of a step.
        monitor: What counts as an improvement on the validation rows: a lower loss, as in the
            paper, or an accuracy that is not lower, as in the public code of its baseline.
    """

    learning_rate: float = 1e-3
    epochs: int = 200
    patience: int = 20
    batch_size: int = 200
    monitor: Monitor = "loss"


class Probe(nn.Module):
    """Standardisation by the training rows, and one linear layer.

    Args:
        mean: Mean of every feature over the training rows.
        std: Standard deviation of every feature over the training rows.
        n_classes: Number of outputs.
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
        """Compute the logits of rows of raw features."""
        logits: Tensor = self.linear((features - self.mean) / self.std)
        return logits


def run_probe(
    features: Float32[np.ndarray, "clips dim"],
    labels: Int64[np.ndarray, " clips"],
    splits: RowSplits,
    settings: ProbeSettings,
    seed: int,
) -> float:
    """Train a probe and return the accuracy of its best epoch on the test rows, 0 to 1.

    Args:
        features: One row for each clip; may be mapped into memory from a file.
        labels: Class of every row, from 0.
        splits: Rows for training, validation and testing.
        settings: Of the training.
        seed: Of the initial weights and the order of the rows.
    """
    generator = torch.Generator().manual_seed(seed)
    probe = _new_probe(features, splits.train, int(labels.max()) + 1, generator)
    optimiser = torch.optim.Adam(
        probe.parameters(), lr=settings.learning_rate, eps=1e-8, weight_decay=1e-8
    )
    best, best_weights, waited = -np.inf, _weights(probe), 0
    for _ in range(settings.epochs):
        order = torch.randperm(splits.train.size, generator=generator)
        for batch in torch.split(order, settings.batch_size):
            _train_step(probe, optimiser, features, labels, splits.train[batch.numpy()])
        loss, accuracy = evaluate_probe(probe, features, labels, splits.valid)
        score = -loss if settings.monitor == "loss" else accuracy
        improved = score > best or (settings.monitor == "accuracy" and score == best)
        waited = 0 if improved else waited + 1
        if improved:
            best, best_weights = score, _weights(probe)
        if waited >= settings.patience:
            break
    probe.load_state_dict(best_weights)
    return evaluate_probe(probe, features, labels, splits.test)[1]


@torch.no_grad()
def evaluate_probe(
    probe: Probe,
    features: Float32[np.ndarray, "clips dim"],
    labels: Int64[np.ndarray, " clips"],
    rows: Int64[np.ndarray, " rows"],
) -> tuple[float, float]:
    """Compute the mean cross-entropy and the accuracy over some rows."""
    loss, right = 0.0, 0
    for first in range(0, rows.size, CHUNK):
        chunk = rows[first : first + CHUNK]
        logits, wanted = probe(torch.from_numpy(features[chunk])), torch.from_numpy(labels[chunk])
        loss += float(nn.functional.cross_entropy(logits, wanted, reduction="sum"))
        right += int((logits.argmax(dim=1) == wanted).sum())
    return loss / rows.size, right / rows.size


def _new_probe(
    features: Float32[np.ndarray, "clips dim"],
    rows: Int64[np.ndarray, " rows"],
    n_classes: int,
    generator: torch.Generator,
) -> Probe:
    """Make a probe standardised by some rows; its weights are drawn as torch does."""
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


def _train_step(
    probe: Probe,
    optimiser: torch.optim.Optimizer,
    features: Float32[np.ndarray, "clips dim"],
    labels: Int64[np.ndarray, " clips"],
    rows: Int64[np.ndarray, " batch"],
) -> None:
    loss = nn.functional.cross_entropy(
        probe(torch.from_numpy(features[rows])), torch.from_numpy(labels[rows])
    )
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    optimiser.step()


def _weights(probe: Probe) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in probe.state_dict().items()}
