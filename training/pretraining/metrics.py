"""The metrics of a run: a file of JSON lines, and TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from torch.utils.tensorboard import SummaryWriter

METRICS = "metrics.jsonl"


class MetricsLog:
    """Log of metrics by step; a resumed run drops the lines from its first step on.

    Args:
        folder: Folder of the run, for ``metrics.jsonl`` and ``tensorboard/``. None writes
            nothing: only the first process of a run writes a log.
        first_step: Step at which the run starts or resumes.
    """

    def __init__(self, folder: Path | None, first_step: int) -> None:
        self._lines: TextIO | None = None
        if folder is None:
            return
        path = folder / METRICS
        earlier = [line for line in read_metrics(path) if line["step"] < first_step]
        self._lines = path.open("w", encoding="utf-8")
        for line in earlier:
            self._lines.write(json.dumps(line) + "\n")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._lines is not None:
            self._lines.close()
            self._board.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Record the values of a step."""
        if self._lines is None:
            return
        self._lines.write(json.dumps({"step": step, **values}) + "\n")
        self._lines.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read the lines of a metrics file, none if it is missing; drop an incomplete last line."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]
