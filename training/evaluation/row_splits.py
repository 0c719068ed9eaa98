"""Training, validation and test rows of a linear probe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from training.errors import DatasetError

VALIDATION_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class RowSplits:
    """Rows of the clips that a probe is trained on, stopped early by, and tested on."""

    train: Int64[np.ndarray, " train"]
    valid: Int64[np.ndarray, " valid"]
    test: Int64[np.ndarray, " test"]


def stratified_splits(
    train: Int64[np.ndarray, " rows"],
    test: Int64[np.ndarray, " test"],
    labels: Int64[np.ndarray, " clips"],
    seed: int,
) -> RowSplits:
    """Draw a tenth of the training rows for validation, stratified by class (docs/method.md, B12).

    Each class gives a tenth of its rows, rounded down. The rows that are then missing from a tenth
    of all rows come from the classes with the largest remainders. A class of at least two rows
    gives at least one and keeps at least one.

    Args:
        train: Rows for training and validation.
        test: Rows for testing.
        labels: Class of every row.
        seed: Of the draw.

    Raises:
        DatasetError: No class has two rows, so there are no rows for validation.
    """
    random = np.random.default_rng(seed)
    classes, counts = np.unique(labels[train], return_counts=True)
    wanted = counts * VALIDATION_SHARE
    quotas = np.floor(wanted).astype(np.int64)
    missing = round(train.size * VALIDATION_SHARE) - int(quotas.sum())
    by_remainder = np.lexsort((random.permutation(classes.size), -(wanted - quotas)))
    quotas[by_remainder[:missing]] += 1
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
    return RowSplits(np.setdiff1d(train, valid), np.sort(valid), test)
