"""The form of a workload: writes that are recorded, and what must be there after any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Action = Callable[[], None]
Outcome = Literal["done", "failed", "begun"]
"""A step that failed or was only begun may have taken effect or not, but not in part."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Writes to a folder in steps.

    Attributes:
        prepare: Makes what is in the folder before, from a seed.
        steps: Yields about as many steps as wanted; a step is acknowledged when its call returns.
        check: Returns what is wrong with a folder that was left after some outcomes of the steps;
            it may change the folder.
    """

    prepare: Callable[[Path, int], None]
    steps: Callable[[Path, int, int], Iterator[Action]]
    check: Callable[[Path, int, int, Sequence[Outcome]], list[str]]


def nothing(folder: Path, seed: int) -> None:
    """Prepare nothing."""
