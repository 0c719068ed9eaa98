"""A corpus small enough for a test, with excerpts in all five folds."""

from __future__ import annotations

from pathlib import Path

import tiny_scene

LABELS = ("dog", "footsteps")
SECONDS = (45.0, 12.0, 8.0, 41.0, 20.5, 16.0, 31.0)


def corpus() -> list[tuple[tiny_scene.Row, tiny_scene.Sound]]:
    """List events of each fold and recordings of rain; the third is too short for two excerpts."""
    events = [tiny_scene.event(label, fold, 0) for label in LABELS for fold in range(1, 6)]
    rain = [
        tiny_scene.background("rain", f"rain{i}", seconds, seed=i)
        for i, seconds in enumerate(SECONDS)
    ]
    return events + rain


def write(folder: Path) -> Path:
    """Write the corpus and return its manifest."""
    return tiny_scene.write(folder, corpus())
