"""Data sets of the shape that the real ones unpack to, a few clips each."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import synth

EVENT_S = 5.0


def touch(path: Path) -> Path:
    """Make an empty file, for preparers that only read names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write a CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as lines:
        table = csv.DictWriter(lines, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def write_esc50(folder: Path, *, per_fold: int = 2, rate: int = 16_000) -> Path:
    """Write ESC-50's own folder: tones of two classes, a second long, in five folds."""
    rows = []
    for number in range(5 * per_fold):
        fold, kind = 1 + number % 5, number % 2
        name = f"{fold}-{1000 + number}-A-{kind}.wav"
        tone = synth.tone(300.0 * (1 + 3 * kind), 1.0, amplitude=0.2, sample_rate=rate)
        sound = np.zeros(round(EVENT_S * rate), np.float32)
        sound[rate : 2 * rate] = tone + synth.noise(number, 1.0, amplitude=0.02, sample_rate=rate)
        synth.write(folder / "audio" / name, sound, sample_rate=rate)
        rows.append({"filename": name, "fold": fold, "target": kind, "category": f"kind{kind}"})
    write_table(folder / "meta" / "esc50.csv", rows)
    return folder


def write_backgrounds(
    folder: Path, n: int, *, duration_s: float = 12.0, rate: int = 16_000, first: int = 0
) -> Path:
    """Write recordings of noise, each of another level."""
    for i in range(first, first + n):
        sound = synth.noise(100 + i, duration_s, amplitude=0.01 * (1 + i), sample_rate=rate)
        synth.write(folder / "street" / f"b{i}.wav", sound, sample_rate=rate)
    return folder


def write_corpora(folder: Path) -> Path:
    """Write a manifest like that of the real corpora: events, backgrounds, words, relatives."""
    write_esc50(folder / "esc50")
    write_backgrounds(folder / "ambience", 6)
    rows: list[dict[str, object]] = []
    columns = ("path", "corpus", "label", "fold", "split", "permissive", "freesound_id")
    columns += ("recording", "esc50_src_overlap")

    def add(path: str, **values: object) -> None:
        rows.append({column: values.get(column, "") for column in columns} | {"path": path})

    for path in sorted((folder / "esc50" / "audio").iterdir()):
        fold, origin, _, kind = path.stem.split("-")
        known = {"fold": fold, "freesound_id": origin, "recording": f"esc50:{origin}"}
        label = f"kind{kind}"
        add(f"esc50/audio/{path.name}", corpus="esc50", label=label, permissive=1, **known)
    for path in sorted((folder / "ambience" / "street").iterdir()):
        name = f"ambience/street/{path.name}"
        add(name, corpus="ambience", label="street", permissive=1, recording=path.stem)
    for i, split in enumerate(("train", "train", "test")):
        synth.write(folder / "words" / f"w{i}.wav", synth.tone(500.0 + 100 * i, 1.0))
        add(
            f"words/w{i}.wav",
            corpus="words",
            label="yes",
            split=split,
            permissive=1,
            recording=f"speaker{i}",
        )
    # A relative of a tested event, and one of a tested word.
    synth.write(folder / "sfx" / "again.wav", synth.tone(700.0, 1.0))
    add(
        "sfx/again.wav",
        corpus="sfx",
        label="x",
        permissive=1,
        recording="sfx:1",
        esc50_src_overlap=1003,
    )
    synth.write(folder / "sfx" / "word.wav", synth.tone(900.0, 1.0))
    add("sfx/word.wav", corpus="sfx", label="x", permissive=1, recording="speaker2")
    # Not permissive, so no recipe of a shipped encoder uses them.
    for i in range(24):
        synth.write(folder / "noise" / f"n{i}.wav", synth.tone(100.0 + 60.0 * i, 0.5))
        add(f"noise/n{i}.wav", corpus="noise", label="x", permissive=0)
    return write_table(folder / "manifest.csv", rows)
