"""Preparers of Speech Commands, VoxCeleb1, VoxForge and CREMA-D (facts, sections 5.2 and 5.3)."""

from __future__ import annotations

from pathlib import Path

from training.datasets.draws import draw_splits
from training.datasets.metadata import TaskClip
from training.errors import DatasetError

SEED = 42
EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
VOX_SPLITS = {"1": "train", "2": "valid", "3": "test"}


def prepare_spcv2(source: Path) -> list[TaskClip]:
    """Read Speech Commands v2: a folder a word, ``validation_list.txt`` and ``testing_list.txt``.

    Folders that start with ``_`` hold noise and are no words.
    """
    listed = dict.fromkeys(read_list(source / "validation_list.txt"), "valid")
    listed |= dict.fromkeys(read_list(source / "testing_list.txt"), "test")
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
    for line in read_list(source / "iden_split.txt"):
        side, name = line.split(maxsplit=1)
        if side not in VOX_SPLITS:
            raise DatasetError(f"iden_split.txt has the split {side!r}; 1, 2 and 3 are known")
        clips.append(TaskClip(source / "wav" / name, name.split("/")[0], split=VOX_SPLITS[side]))
    return clips


def prepare_voxforge(source: Path) -> list[TaskClip]:
    """Read VoxForge as ``LANGUAGE/ARCHIVE/.../*.wav``: one folder for each unpacked submission.

    The list the paper's numbers are from is not public, so 70, 15 and 15 % of the submissions are
    drawn with a seed: results are not comparable to the decimal.
    """
    files = sorted(path for path in source.rglob("*.wav") if len(_parts(source, path)) >= 3)
    groups = {path: "/".join(_parts(source, path)[:2]) for path in files}
    splits = draw_splits(groups.values(), SEED, valid=0.15, test=0.15)
    return [TaskClip(p, _parts(source, p)[0], split=splits[groups[p]]) for p in files]


def prepare_cremad(source: Path) -> list[TaskClip]:
    """Read CREMA-D: ``SPEAKER_SENTENCE_EMOTION_LEVEL.wav``, in the folder or ``AudioWAV/``.

    The list the paper's numbers are from is not public, so 70, 10 and 20 % of the speakers are
    drawn with a seed: results are not comparable to the decimal.
    """
    folder = source / "AudioWAV" if (source / "AudioWAV").is_dir() else source
    files = {path: path.stem.split("_") for path in sorted(folder.glob("*.wav"))}
    if wrong := [
        p.name for p, parts in files.items() if len(parts) != 4 or parts[2] not in EMOTIONS
    ]:
        raise DatasetError(f"{wrong[0]} is not named SPEAKER_SENTENCE_EMOTION_LEVEL.wav")
    splits = draw_splits((parts[0] for parts in files.values()), SEED, valid=0.1, test=0.2)
    return [TaskClip(path, parts[2], split=splits[parts[0]]) for path, parts in files.items()]


def read_list(path: Path) -> list[str]:
    """Read the lines of a list that are not empty.

    Raises:
        DatasetError: It is not there.
    """
    if not path.is_file():
        raise DatasetError(f"{path} is not there; give the folder the data set unpacks to")
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _parts(source: Path, path: Path) -> tuple[str, ...]:
    return path.relative_to(source).parts
