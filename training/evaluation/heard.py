"""What an encoder has heard: the clips its bundle names, and all that share a source with them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from training.data.attribution import TRAINED
from training.data.manifest import SourceClip
from training.data.splits import sources, union_of_sources
from training.errors import DatasetError

ATTRIBUTION = "ATTRIBUTION.csv"


def heard_sources(bundle: Path, clips: Iterable[SourceClip] = ()) -> frozenset[str]:
    """Name every source a bundle's encoder, or one it went on from, was trained on.

    Args:
        bundle: Folder of a bundle.
        clips: Of the manifest it was trained from, where that says more of their sources than
            the bundle does.

    Returns:
        Names as ``training.data.splits.sources`` writes them, and the clips' paths.

    Raises:
        DatasetError: The bundle does not name its clips.
    """
    path = bundle / ATTRIBUTION
    if not path.is_file():
        raise DatasetError(f"{bundle} has no {ATTRIBUTION}: what it has heard is not known")
    with path.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["role"] == TRAINED]
    names = frozenset(row["path"] for row in rows)
    named = union_of_sources(SourceClip(bundle, row["path"], row) for row in rows)
    return names | named | union_of_sources(clip for clip in clips if clip.name in names)


def unheard(clips: Sequence[SourceClip], bundle: Path) -> list[SourceClip]:
    """Keep the clips that share no source with anything a bundle's encoder was trained on."""
    heard = heard_sources(bundle, clips)
    return [clip for clip in clips if clip.name not in heard and heard.isdisjoint(sources(clip))]


def count_heard(tested: Iterable[frozenset[str]], heard: frozenset[str]) -> dict[str, int] | None:
    """Count the tested clips with a source that was heard.

    Args:
        tested: The sources of each tested clip, its path among them.
        heard: What the encoder has heard.

    Returns:
        ``heard`` and ``tested``; None where the sources of the tested clips are not known.
    """
    clips = list(tested)
    if not any(clips):
        return None
    return {"heard": sum(not heard.isdisjoint(c) for c in clips), "tested": len(clips)}
