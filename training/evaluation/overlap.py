"""Overlap of evaluated clips with the clips that an encoder was pre-trained on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from training.data.attribution import TRAINED
from training.data.manifest import SourceClip, read_table
from training.data.splits import sources, union_of_sources
from training.errors import DatasetError

ATTRIBUTION = "ATTRIBUTION.csv"


def trained_sources(
    bundle: Path, clips: Iterable[SourceClip] = (), roles: Collection[str] = (TRAINED,)
) -> frozenset[str]:
    """List the sources that a bundle's encoder, or an encoder it started from, was trained on.

    Args:
        bundle: Folder of a bundle.
        clips: Clips of the training manifest, for bundles that name paths but not all sources.
        roles: Roles of the clips in the attribution; those of the encoder's if not given.

    Returns:
        Names of sources, as ``training.data.splits.sources`` gives them, and paths of the clips.

    Raises:
        DatasetError: The bundle has no list of its clips.
    """
    path = bundle / ATTRIBUTION
    if not path.is_file():
        raise DatasetError(f"{bundle} has no {ATTRIBUTION}: its training clips are not known")
    rows = [row for row in read_table(path) if row["role"] in roles]
    names = frozenset(row["path"] for row in rows)
    named = union_of_sources(SourceClip(bundle, row["path"], row) for row in rows)
    return names | named | union_of_sources(clip for clip in clips if clip.name in names)


def unseen_clips(clips: Sequence[SourceClip], bundle: Path) -> list[SourceClip]:
    """Select the clips that share no source with the training data of a bundle's encoder."""
    seen = trained_sources(bundle, clips)
    return [clip for clip in clips if seen.isdisjoint(sources(clip) | {clip.name})]


def count_overlap(
    tested: Iterable[frozenset[str]], seen: frozenset[str] | None
) -> dict[str, int] | None:
    """Count the tested clips that share a source with the training data.

    Args:
        tested: The sources of each tested clip, and its path.
        seen: The sources of the training data; None if they are not known.

    Returns:
        ``heard``, the number of such clips, and ``tested``, that of all; None if the sources of
        the training data or of the tested clips are not known.
    """
    clips = list(tested)
    if seen is None or not any(clips):
        return None
    return {"heard": sum(not seen.isdisjoint(names) for names in clips), "tested": len(clips)}
