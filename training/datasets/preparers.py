"""Readers of the nine data sets of linear evaluation, from the folders that they unpack to.

Sources, lists and classes: docs/method.md, "Tasks of linear evaluation". Where the list behind the
paper's figures is not public, splits are drawn (docs/method.md, "Splits drawn here"), and results
are not comparable to the decimal.
"""

from __future__ import annotations

import json
from pathlib import Path

from training.data.manifest import read_table
from training.datasets.group_splits import draw_group_splits
from training.datasets.metadata import SPLITS, TaskClip
from training.errors import DatasetError

SEED = 42
EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
VOX_SPLITS = {"1": "train", "2": "valid", "3": "test"}


def prepare_esc50(source: Path) -> list[TaskClip]:
    """Read ESC-50: ``meta/esc50.csv`` and ``audio/``; five folds.

    The second part of a clip's name is its source recording.
    """
    clips = []
    for row in read_table(_existing(source / "meta" / "esc50.csv")):
        name = row["filename"]
        origin = name.split("-")[1]
        clips.append(
            TaskClip(
                source / "audio" / name,
                row["category"],
                fold=int(row["fold"]),
                sources=frozenset({f"esc50:{origin}", f"freesound:{origin}"}),
            )
        )
    return clips


def prepare_us8k(source: Path) -> list[TaskClip]:
    """Read UrbanSound8K: ``metadata/UrbanSound8K.csv`` and ``audio/foldN/``; ten folds."""
    clips = []
    for row in read_table(_existing(source / "metadata" / "UrbanSound8K.csv")):
        path = source / "audio" / f"fold{row['fold']}" / row["slice_file_name"]
        origin = frozenset({f"freesound:{row['fsID']}"}) if row.get("fsID") else frozenset()
        clips.append(TaskClip(path, row["class"], fold=int(row["fold"]), sources=origin))
    return clips


def prepare_spcv2(source: Path) -> list[TaskClip]:
    """Read Speech Commands v2: a folder for each word and the lists of two splits.

    The lists are ``validation_list.txt`` and ``testing_list.txt``. Folders whose names begin with
    ``_`` hold noise and are skipped.
    """
    listed = dict.fromkeys(_read_list(source / "validation_list.txt"), "valid")
    listed |= dict.fromkeys(_read_list(source / "testing_list.txt"), "test")
    words = sorted(folder for folder in source.iterdir() if folder.is_dir())
    return [
        TaskClip(path, word.name, split=listed.get(f"{word.name}/{path.name}", "train"))
        for word in words
        if not word.name.startswith(("_", "."))
        for path in sorted(word.glob("*.wav"))
    ]


def prepare_vc1(source: Path) -> list[TaskClip]:
    """Read VoxCeleb1: ``iden_split.txt`` and ``wav/``; the class is the speaker."""
    clips = []
    for line in _read_list(source / "iden_split.txt"):
        number, name = line.split(maxsplit=1)
        if number not in VOX_SPLITS:
            raise DatasetError(f"iden_split.txt has the split {number!r}; 1, 2 and 3 are known")
        clips.append(TaskClip(source / "wav" / name, name.split("/")[0], split=VOX_SPLITS[number]))
    return clips


def prepare_voxforge(source: Path) -> list[TaskClip]:
    """Read VoxForge: ``LANGUAGE/ARCHIVE/.../*.wav``, a folder for each unpacked submission.

    Splits are drawn: 70, 15 and 15 % of the submissions.
    """
    parts = {path: path.relative_to(source).parts for path in sorted(source.rglob("*.wav"))}
    groups = {path: "/".join(names[:2]) for path, names in parts.items() if len(names) >= 3}
    splits = draw_group_splits(groups.values(), SEED, valid=0.15, test=0.15)
    return [TaskClip(path, parts[path][0], split=splits[group]) for path, group in groups.items()]


def prepare_cremad(source: Path) -> list[TaskClip]:
    """Read CREMA-D: ``SPEAKER_SENTENCE_EMOTION_LEVEL.wav``, in the folder or in ``AudioWAV/``.

    Splits are drawn: 70, 10 and 20 % of the speakers.
    """
    folder = source / "AudioWAV" if (source / "AudioWAV").is_dir() else source
    parts = {path: path.stem.split("_") for path in sorted(folder.glob("*.wav"))}
    if wrong := [p.name for p, it in parts.items() if len(it) != 4 or it[2] not in EMOTIONS]:
        raise DatasetError(f"{wrong[0]} is not named SPEAKER_SENTENCE_EMOTION_LEVEL.wav")
    splits = draw_group_splits((names[0] for names in parts.values()), SEED, valid=0.1, test=0.2)
    return [TaskClip(path, names[2], split=splits[names[0]]) for path, names in parts.items()]


def prepare_gtzan(source: Path) -> list[TaskClip]:
    """Read GTZAN: ``genres/GENRE/GENRE.NNNNN.wav`` and the fault-filtered lists beside it.

    The lists are those of Kereliuk et al.: ``train_filtered.txt``, ``valid_filtered.txt`` and
    ``test_filtered.txt``. Clips in none of them are left out.
    """
    clips = []
    for split in SPLITS:
        for line in _read_list(source / f"{split}_filtered.txt"):
            name = Path(line)
            path = source / "genres" / name.parent.name / name.name
            clips.append(TaskClip(path, name.parent.name, split=split))
    return clips


def prepare_nsynth(source: Path) -> list[TaskClip]:
    """Read NSynth: ``nsynth-SPLIT/examples.json`` and ``audio/``; the class is the instrument."""
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

    Splits are drawn: 81, 9.5 and 9.5 % of the tones.
    """
    files = sorted(path for path in source.rglob("*.ogg") if path.parent != source)
    tones = {path: path.parent.relative_to(source).as_posix() for path in files}
    splits = draw_group_splits(tones.values(), SEED, valid=0.095, test=0.095)
    return [TaskClip(path, path.stem, split=splits[tones[path]]) for path in files]


def _read_list(path: Path) -> list[str]:
    lines = _existing(path).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DatasetError(f"{path} is not there; give the folder the data set unpacks to")
    return path
