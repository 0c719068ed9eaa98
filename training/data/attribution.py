"""Who made the sounds a bundle was trained on, and under which licence."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from service.bundle.manifest import DataSource
from training.data.manifest import SourceClip
from training.data.store import ClipStore
from training.model.frontend import SAMPLE_RATE

TRAINED = "trained"
HELD_OUT = "held out"
SOURCES = ("freesound_id", "recording", "esc50_src_overlap")  # tell what was heard
COLUMNS = ("path", "corpus", "title", "author", "licence", "url", *SOURCES, "role")
NOT_STATED = "not stated"
STATED_AT_LENGTH = "stated per clip in ATTRIBUTION.csv"
LONGEST_NAME = 80  # of a licence; longer ones are whole statements


def describe_data(store: ClipStore) -> list[DataSource]:
    """Sum up the clips of each corpus: how many, how long, under which licences."""
    corpora = defaultdict(list)
    for i, clip in enumerate(store.clips):
        corpora[corpus_of(clip)].append(i)
    return [
        DataSource(
            corpus=corpus,
            clips=len(rows),
            seconds=round(float(store.lengths[rows].sum()) / SAMPLE_RATE, 1),
            licences=dict(Counter(licence_of(store.clips[i]) for i in rows)),
        )
        for corpus, rows in sorted(corpora.items())
    ]


def write_attribution(
    path: Path, clips: Mapping[str, Iterable[SourceClip]], parent: Path | None
) -> None:
    """Name every clip with its author and licence.

    What the manifest of the data does not say is looked up in the fuller ``meta.csv`` of the
    clip's corpus, where there is one.

    Args:
        path: The CSV to write.
        clips: The clips by their role, ``trained`` or ``held out``.
        parent: The attribution of the bundle this one went on from; its clips are named too, and
            what it was trained on stays ``trained``.
    """
    rows: dict[str, dict[str, str]] = {}
    if parent is not None and parent.is_file():
        with parent.open(newline="", encoding="utf-8") as lines:
            rows = {row["path"]: row for row in csv.DictReader(lines)}
    details: dict[Path, dict[str, dict[str, str]]] = {}
    for role, members in clips.items():
        for clip in members:
            known = _detail(clip, details) | {k: v for k, v in clip.columns.items() if v}
            heard = rows.get(clip.name, {}).get("role") == TRAINED
            known |= {"path": clip.name, "corpus": corpus_of(clip)}
            known |= {"role": TRAINED if heard else role}
            known.setdefault("licence", NOT_STATED)
            rows[clip.name] = {column: known.get(column, "") for column in COLUMNS}
    with path.open("w", newline="", encoding="utf-8") as lines:
        table = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows[name] for name in sorted(rows))


def corpus_of(clip: SourceClip) -> str:
    """Name the corpus of a clip: the manifest's, else its folder."""
    return clip.columns.get("corpus") or clip.root.name


def licence_of(clip: SourceClip) -> str:
    """Name the licence of a clip; a whole statement is left to the attribution."""
    name = clip.columns.get("licence") or NOT_STATED
    return name if len(name) <= LONGEST_NAME else STATED_AT_LENGTH


def _detail(clip: SourceClip, read: dict[Path, dict[str, dict[str, str]]]) -> dict[str, str]:
    """Find a clip in the ``meta.csv`` of its corpus, reading each file once."""
    folder = clip.root / corpus_of(clip)
    if folder not in read:
        read[folder] = {}
        if (folder / "meta.csv").is_file():
            with (folder / "meta.csv").open(newline="", encoding="utf-8") as lines:
                read[folder] = {row["path"]: row for row in csv.DictReader(lines)}
    row = read[folder].get(clip.path.relative_to(folder).as_posix(), {}) if read[folder] else {}
    return {key: value for key, value in row.items() if value}
