"""The list of sounds that requests are drawn about: names from several places, and a split."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.errors import DatasetError
from training.towers.captions.concepts import Concepts
from training.words.names import class_names, list_labels, list_names

NOT_NAMED = frozenset({"speech_commands_9", "music_pool"})
"""Corpora whose labels do not name a sound: the words that are said, vague tags."""
HELD_OUT = 10  # one name in so many
MOST_WORDS = 5
# Names with such a word would be requests: "more or less rain".
AMBIGUOUS = frozenset(
    [
        *("and", "or", "no", "not", "without", "with", "only", "just", "but", "except", "instead"),
        *("more", "less", "louder", "quieter", "add", "remove", "minus", "plus", "silence"),
        *("nothing", "other", "miscellaneous", "unknown"),
    ]
)


@dataclass(frozen=True, slots=True)
class SoundNames:
    """Names of sounds.

    Attributes:
        seen: For training; some of them have an article.
        held_out: Never trained on: one name in ten, and the held-out names of names.yaml.
    """

    seen: tuple[str, ...]
    held_out: tuple[str, ...]


def collect_sounds(
    *, manifest: Path | None = None, classes: Sequence[str] = (), files: Sequence[Path] = ()
) -> SoundNames:
    """Collect names of sounds: those of the files of names, and those of the places given.

    Args:
        manifest: Manifest of clips; its labels are names.
        classes: Names of the classes of a teacher.
        files: Text files with a name in each line; lines with ``#`` are comments.

    Raises:
        DatasetError: A file cannot be read.
    """
    grammar = [name for label in list_labels() for name in list_names(label)]
    kept = {name for label in list_labels() for name in list_names(label, "held_out")}
    written = [
        name for concept in Concepts.of(list(class_names()), []).concepts for name in concept.names
    ]
    lines = [*grammar, *written, *classes]
    try:
        lines += _labels(manifest) if manifest else []
        for file in files:
            lines += [x for x in file.read_text("utf-8").splitlines() if not x.startswith("#")]
    except OSError as error:
        raise DatasetError(f"the names of sounds cannot be read: {error}") from error
    names = sorted({name for line in lines for name in clean_names(line)} - kept)
    seen = [name for name in names if name in grammar or zlib.crc32(name.encode()) % HELD_OUT]
    return SoundNames(tuple(seen), tuple(sorted(kept | (set(names) - set(seen)))))


def clean_names(label: str) -> Iterable[str]:
    """Turn a label into names: ``BabyCry``, ``water_tap`` and "Roar, growl" into words.

    A label with digits, brackets, words for changes, or more than five words gives none.
    """
    for part in label.split(","):
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", part).replace("_", " ").replace("/", " ")
        name = " ".join(words.lower().split())
        is_plain = re.fullmatch(r"[a-z][a-z' -]+", name) is not None
        if is_plain and len(name.split()) <= MOST_WORDS and not AMBIGUOUS & set(name.split()):
            yield name


def _labels(manifest: Path) -> list[str]:
    with manifest.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        return sorted({row["label"] for row in rows if row["corpus"] not in NOT_NAMED})
