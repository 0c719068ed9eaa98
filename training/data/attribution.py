"""Authors and licences of the clips that a bundle was trained on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from service.bundle.manifest import DataSource
from training.data.manifest import SourceClip, read_table, write_table
from training.data.store import ClipStore
from training.model.frontend import SAMPLE_RATE

TRAINED = "trained"
HELD_OUT = "held out"
TEACHER = "teacher"
YAMNET = {
    "path": "yamnet",
    "corpus": TEACHER,
    "title": "YAMNet, a classifier trained on AudioSet",
    "author": "Google",
    "licence": "Apache-2.0",
    "url": "https://github.com/tensorflow/models/tree/master/research/audioset/yamnet",
    "role": TEACHER,
}
"""Row of the teacher of distillation, whose outputs were targets of the training."""
SOURCES = ("freesound_id", "recording", "esc50_src_overlap")  # see training.data.splits
COLUMNS = ("path", "corpus", "title", "author", "licence", "url", *SOURCES, "role")
NOT_STATED = "not stated"
STATED_AT_LENGTH = "stated per clip in ATTRIBUTION.csv"
LONGEST_NAME = 80  # [characters] of a licence; a longer text is a statement, not a name


def describe_data(store: ClipStore) -> list[DataSource]:
    """Summarise the clips of each corpus in a store."""
    return summarise_corpora(
        store.clips, lambda rows: float(store.lengths[rows].sum()) / SAMPLE_RATE
    )


def summarise_corpora(
    clips: Sequence[SourceClip], duration_of: Callable[[list[int]], float]
) -> list[DataSource]:
    """Summarise the clips of each corpus: number, duration and licences.

    Args:
        clips: The clips.
        duration_of: Adds up the durations of clips [s], which are given by their numbers.
    """
    corpora = defaultdict(list)
    for i, clip in enumerate(clips):
        corpora[corpus_of(clip)].append(i)
    return [
        DataSource(
            corpus=corpus,
            clips=len(rows),
            seconds=round(duration_of(rows), 1),
            licences=dict(Counter(licence_of(clips[i]) for i in rows)),
        )
        for corpus, rows in sorted(corpora.items())
    ]


def write_encoder_attribution(
    path: Path, stores: tuple[ClipStore, ClipStore], parent: Path, *, has_teacher: bool
) -> None:
    """Write the attribution of an encoder: its clips, those of its parent, and the teacher.

    Clips that only the towers or the calibration of the parent's bundle used are left out.

    Args:
        path: The CSV to write.
        stores: Clips for training, and those held out.
        parent: Attribution of the bundle that training started from; it may be missing.
        has_teacher: Whether a teacher gave targets.
    """
    trained, held_out = stores
    write_attribution(path, {TRAINED: trained.clips, HELD_OUT: held_out.clips}, parent)
    rows = [row for row in read_table(path) if row["role"] in (TRAINED, HELD_OUT, TEACHER)]
    if has_teacher and not any(row["role"] == TEACHER for row in rows):
        rows.append({column: YAMNET.get(column, "") for column in COLUMNS})
    write_table(path, COLUMNS, rows)


def write_attribution(
    path: Path, clips: Mapping[str, Iterable[SourceClip]], parent: Path | None
) -> None:
    """Write a CSV of every clip with its author and licence.

    Columns that the manifest of the data lacks are read from ``meta.csv`` in the folder of the
    clip's corpus, if there is one.

    Args:
        path: The CSV to write.
        clips: The clips by their role, ``trained`` or ``held out``.
        parent: Attribution of the bundle that training started from, if any. Its clips are listed
            too, and those it was trained on stay ``trained``.
    """
    rows: dict[str, dict[str, str]] = {}
    if parent is not None and parent.is_file():
        rows = {row["path"]: row for row in read_table(parent)}
    details: dict[Path, dict[str, dict[str, str]]] = {}
    for role, members in clips.items():
        for clip in members:
            row = _detail(clip, details) | {k: v for k, v in clip.columns.items() if v}
            was_trained = rows.get(clip.name, {}).get("role") == TRAINED
            row |= {"path": clip.name, "corpus": corpus_of(clip)}
            row |= {"role": TRAINED if was_trained else role}
            row.setdefault("licence", NOT_STATED)
            rows[clip.name] = {column: row.get(column, "") for column in COLUMNS}
    write_table(path, COLUMNS, (rows[name] for name in sorted(rows)))


def corpus_of(clip: SourceClip) -> str:
    """Return the corpus of a clip: the column of the manifest, else the name of its folder."""
    return clip.columns.get("corpus") or clip.root.name


def licence_of(clip: SourceClip) -> str:
    """Return the name of a clip's licence, or a hint if it is a long statement."""
    name = clip.columns.get("licence") or NOT_STATED
    return name if len(name) <= LONGEST_NAME else STATED_AT_LENGTH


def _detail(clip: SourceClip, tables: dict[Path, dict[str, dict[str, str]]]) -> dict[str, str]:
    """Find a clip's row in the ``meta.csv`` of its corpus; each file is read once."""
    folder = clip.root / corpus_of(clip)
    if folder not in tables:
        tables[folder] = {}
        if (folder / "meta.csv").is_file():
            tables[folder] = {row["path"]: row for row in read_table(folder / "meta.csv")}
    table = tables[folder]
    row = table.get(clip.path.relative_to(folder).as_posix(), {}) if table else {}
    return {key: value for key, value in row.items() if value}
