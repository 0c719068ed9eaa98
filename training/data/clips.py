"""Which clips a run hears: a folder of audio, or a manifest with a filter."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.data.manifest import SourceClip, read_clips
from training.data.splits import leave_out
from training.errors import DatasetError
from training.recipe import DataRecipe


def find_clips(data: Path, recipe: DataRecipe, seed: int) -> list[SourceClip]:
    """List the clips of a run in a fixed order.

    Args:
        data: A folder, searched with its sub-folders, or a CSV manifest with a column ``path``
            relative to the manifest.
        recipe: Filter and number of clips.
        seed: Draws the clips where there are more than ``max_files``.

    Raises:
        DatasetError: Nothing there, no such column, or fewer than two clips left.
    """
    clips = read_clips(data)
    if recipe.leave_out is not None:
        clips = leave_out(clips, recipe.leave_out)
    for columns, wanted in ((recipe.where, True), (recipe.exclude, False)):
        for column, values in columns.items():
            clips = _filter(clips, column, values, keep=wanted)
    if len(clips) < 2:
        raise DatasetError(f"{data} and the recipe's filter leave {len(clips)} clips; 2 are needed")
    if recipe.max_files is not None and len(clips) > recipe.max_files:
        chosen = np.random.default_rng(seed).choice(len(clips), recipe.max_files, replace=False)
        clips = [clips[i] for i in sorted(chosen)]
    return clips


def is_held_out(clip: SourceClip, share: float) -> bool:
    """Tell whether a clip is kept out of training, by a hash of its recording.

    The answer depends on the recording's name alone, so it stays the same when other clips come
    or go and when a later run goes on from an exported bundle.
    """
    digest = hashlib.sha256(clip.recording.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def _filter(
    clips: Sequence[SourceClip], column: str, values: list[str | int] | str | int, *, keep: bool
) -> list[SourceClip]:
    allowed = {str(value) for value in (values if isinstance(values, list) else [values])}
    if any(column not in clip.columns for clip in clips):
        raise DatasetError(f"the filter names the column {column!r}, which the data does not have")
    return [clip for clip in clips if (clip.columns[column] in allowed) == keep]
