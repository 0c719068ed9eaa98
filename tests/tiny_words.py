"""A small manifest for `training.evaluation.words`: events, backgrounds, and other clips."""

from __future__ import annotations

from pathlib import Path

import synth
from tiny_datasets import write_table

SOUNDS = {"dog": 400.0, "cat": 1500.0, "cow": 200.0}
"""Frequency of the tone of each class of events [Hz]."""
N_EVENTS = 6
N_BACKGROUNDS = 3


def write_manifest(folder: Path) -> Path:
    """Write short clips and their manifest."""
    rows: list[dict[str, object]] = []

    def add(corpus: str, label: str, number: int, sound: object) -> None:
        path = f"{corpus}/audio/{label}_{number}.wav"
        synth.write(folder / path, sound)
        origin = f"{corpus}:{label}{number}"
        rows.append({"path": path, "corpus": corpus, "label": label, "recording": origin})

    for label, frequency in SOUNDS.items():
        for i in range(N_EVENTS):
            add("esc50", label, i, synth.tone(frequency + 10 * i, 1.0, amplitude=0.2))
    for offset, label in enumerate(("rain", "wind")):
        for i in range(N_BACKGROUNDS):
            noise = synth.noise(10 * offset + i, 6.0, amplitude=0.01 * (1 + 5 * offset))
            add("ambience", label, i, noise)
    add("sfx_pool", "game_ambience", 0, synth.tone(800.0, 1.0))
    add("berklee_foley", "slinky", 0, synth.chirp(100.0, 3000.0, 1.0))
    return write_table(folder / "manifest.csv", rows)
