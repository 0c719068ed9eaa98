"""How often the first phrases for a difference name the event that was added."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch.nn import functional

from training.towers.bank import Phrase

FIRST = 5
STEPS = 100
DECAY = 1e-2  # of the probe's weights


def rank_of_label(
    remains: Float32[np.ndarray, "mixtures dim"], bank: Sequence[Phrase], labels: Sequence[str]
) -> Int64[np.ndarray, " mixtures"]:
    """Rank the phrase of each mixture's label among all phrases of the bank; 1 is the best.

    Args:
        remains: Unit vectors of what remains of each mixture.
        bank: One phrase a label.
        labels: What was added to each mixture.
    """
    column = {phrase.label: i for i, phrase in enumerate(bank)}
    scores = remains @ np.stack([phrase.vector for phrase in bank]).T
    own = scores[np.arange(len(labels)), [column[label] for label in labels]]
    ranks: np.ndarray = 1 + (scores > own[:, None]).sum(axis=1)
    return ranks


def probe_top(
    train: Float32[np.ndarray, "train inputs"],
    train_labels: Sequence[str],
    test: Float32[np.ndarray, "test inputs"],
    test_labels: Sequence[str],
) -> dict[str, float]:
    """Train a linear classifier of clean events; give how often it is right, first and in five.

    Standardised inputs, softmax cross-entropy with an L2 penalty, L-BFGS from zero: without draws.
    """
    classes = sorted(set(train_labels))
    wanted = torch.tensor([classes.index(label) for label in train_labels])
    mean, std = train.mean(axis=0), np.maximum(train.std(axis=0), 1e-4)
    inputs, probes = (torch.from_numpy((x - mean) / std) for x in (train, test))
    weights = torch.zeros(inputs.shape[1], len(classes), requires_grad=True)
    bias = torch.zeros(len(classes), requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights, bias], max_iter=STEPS, line_search_fn="strong_wolfe", history_size=10
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(inputs @ weights + bias, wanted)
        loss = loss + DECAY * weights.square().sum() / 2
        loss.backward()  # type: ignore[no-untyped-call]  # by torch
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]  # by torch
    with torch.inference_mode():
        order = (probes @ weights + bias).argsort(dim=1, descending=True).numpy()
    right = np.array([classes.index(label) for label in test_labels])[:, None]
    return {
        "first": float((order[:, :1] == right).any(axis=1).mean()),
        "among_five": float((order[:, :FIRST] == right).any(axis=1).mean()),
    }
