"""Which clips a probe is trained on, stopped by and tested on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from training.errors import DatasetError

VALIDATION_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Division:
    """Rows of the clips on each side."""

    train: Int64[np.ndarray, " train"]
    valid: Int64[np.ndarray, " valid"]
    test: Int64[np.ndarray, " test"]


def divide(
    train: Int64[np.ndarray, " rows"],
    test: Int64[np.ndarray, " test"],
    labels: Int64[np.ndarray, " clips"],
    seed: int,
) -> Division:
    """Draw a tenth of the training rows for validation, of every class its share (B12).

    Each class gives a tenth of its rows rounded down; the rows that are missing to a tenth of all
    come from classes drawn by the size of what was rounded off. A class of two rows or more gives
    at least one and keeps at least one.

    Args:
        train: Rows that may be trained on.
        test: Rows to test on.
        labels: Class of every row.
        seed: Draws the rows.

    Raises:
        DatasetError: No class has two rows, so that none can be kept for validation.
    """
    random = np.random.default_rng(seed)
    classes, counts = np.unique(labels[train], return_counts=True)
    wanted = counts * VALIDATION_SHARE
    quotas = np.floor(wanted).astype(np.int64)
    missing = round(train.size * VALIDATION_SHARE) - int(quotas.sum())
    by_rest = np.lexsort((random.permutation(classes.size), -(wanted - quotas)))
    quotas[by_rest[:missing]] += 1
    quotas = np.where(counts >= 2, quotas.clip(1, counts - 1), 0)
    if not quotas.any():
        raise DatasetError(
            f"{train.size} clips of {classes.size} classes are there to train on: at least one "
            f"class needs two, of which one is kept for validation"
        )
    valid = np.concatenate(
        [
            random.permutation(train[labels[train] == name])[:quota]
            for name, quota in zip(classes, quotas, strict=True)
        ]
    )
    return Division(np.setdiff1d(train, valid), np.sort(valid), test)
