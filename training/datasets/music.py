"""Preparers of GTZAN, NSynth and the Surge pitch data set (facts, sections 5.2 and 5.3)."""

from __future__ import annotations

import json
from pathlib import Path

from training.datasets.draws import draw_splits
from training.datasets.metadata import SPLITS, TaskClip
from training.datasets.speech import SEED, read_list
from training.errors import DatasetError


def prepare_gtzan(source: Path) -> list[TaskClip]:
    """Read GTZAN: ``genres/GENRE/GENRE.NNNNN.wav`` and the fault-filtered lists.

    The lists ``train_filtered.txt``, ``valid_filtered.txt`` and ``test_filtered.txt`` are those
    of Kereliuk et al.; they stand beside ``genres``, and clips in none of them are not used.
    """
    clips = []
    for split in SPLITS:
        for line in read_list(source / f"{split}_filtered.txt"):
            name = Path(line)
            path = source / "genres" / name.parent.name / name.name
            clips.append(TaskClip(path, name.parent.name, split=split))
    return clips


def prepare_nsynth(source: Path) -> list[TaskClip]:
    """Read NSynth: ``nsynth-SPLIT/examples.json`` and ``audio/``; instrument families."""
    clips = []
    for split in SPLITS:
        folder = source / f"nsynth-{split}"
        table = folder / "examples.json"
        if not table.is_file():
            raise DatasetError(f"{table} is not there; give the folder that holds the three parts")
        for key, note in json.loads(table.read_text(encoding="utf-8")).items():
            path = folder / "audio" / f"{key}.wav"
            clips.append(TaskClip(path, note["instrument_family_str"], split=split))
    return clips


def prepare_surge(source: Path) -> list[TaskClip]:
    """Read the Surge pitch data set: ``TONE/NOTE.ogg``; the class is the note.

    The list the paper's numbers are from is not public, so of the tones 81, 9.5 and 9.5 % are
    drawn with a seed: results are not comparable to the decimal.
    """
    files = sorted(path for path in source.rglob("*.ogg") if path.parent != source)
    tones = {path: path.parent.relative_to(source).as_posix() for path in files}
    splits = draw_splits(tones.values(), SEED, valid=0.095, test=0.095)
    return [TaskClip(path, path.stem, split=splits[tones[path]]) for path in files]
