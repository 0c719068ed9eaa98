"""Rank of the phrase that names an added event, and a linear classifier for comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch.nn import functional

from training.towers.bank import Phrase

FIRST = 5
STEPS = 100
WEIGHT_PENALTY = 1e-2
SMALLEST_STD = 1e-4


def rank_labels(
    vectors: Float32[np.ndarray, "mixtures dim"], bank: Sequence[Phrase], labels: Sequence[str]
) -> Int64[np.ndarray, " mixtures"]:
    """Rank the phrase of each mixture's label among all phrases of the bank; 1 is the best.

    Args:
        vectors: Unit vectors of the remainder of each mixture.
        bank: One phrase per label.
        labels: Label of the sound that was added to each mixture.
    """
    column = {phrase.label: i for i, phrase in enumerate(bank)}
    scores = vectors @ np.stack([phrase.vector for phrase in bank]).T
    own = scores[np.arange(len(labels)), [column[label] for label in labels]]
    ranks: np.ndarray = 1 + (scores > own[:, None]).sum(axis=1)
    return ranks


def share_among_first(ranks: Int64[np.ndarray, " mixtures"]) -> dict[str, float]:
    """Compute the share of ranks that are 1, and at most 5."""
    return {"first": float((ranks == 1).mean()), "among_five": float((ranks <= FIRST).mean())}


def probe_events(
    train: Float32[np.ndarray, "train inputs"],
    train_labels: Sequence[str],
    test: Float32[np.ndarray, "test inputs"],
    test_labels: Sequence[str],
) -> dict[str, float]:
    """Train a linear classifier of clean events; return the share of right first and five guesses.

    Standardised inputs, softmax cross-entropy with an L2 penalty, L-BFGS from zero; no randomness.
    """
    classes = sorted(set(train_labels))
    labels = torch.tensor([classes.index(label) for label in train_labels])
    mean, std = train.mean(axis=0), np.maximum(train.std(axis=0), SMALLEST_STD)
    inputs, tested = (torch.from_numpy((x - mean) / std) for x in (train, test))
    weights = torch.zeros(inputs.shape[1], len(classes), requires_grad=True)
    bias = torch.zeros(len(classes), requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights, bias], max_iter=STEPS, line_search_fn="strong_wolfe", history_size=10
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(inputs @ weights + bias, labels)
        loss = loss + WEIGHT_PENALTY * weights.square().sum() / 2
        loss.backward()  # type: ignore[no-untyped-call]  # by torch
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]  # by torch
    with torch.inference_mode():
        order = (tested @ weights + bias).argsort(dim=1, descending=True).numpy()
    right = np.array([classes.index(label) for label in test_labels])[:, None]
    ranks = 1 + np.argmax(order == right, axis=1)
    return share_among_first(ranks)
