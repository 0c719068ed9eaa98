"""Choose the clips of a run from a folder of audio, or from a manifest with a filter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data.manifest import SourceClip, read_clips
from training.data.pack import is_pack, open_pack
from training.data.splits import leave_out, matches
from training.data.store import ClipStore, open_store
from training.errors import DatasetError
from training.recipe import DataRecipe, Recipe


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The audio of a run, on disk.

    Attributes:
        path: Folder of audio, CSV manifest, or file made by ``data pack``.
        cache: Folder of decoded audio, shared by runs.
    """

    path: Path
    cache: Path

    def open(self, recipe: Recipe) -> tuple[ClipStore, ClipStore]:
        """Open the clips for training and those held out; decode what is not in the cache.

        Raises:
            DatasetError: The data cannot be used.
        """
        store = self.open_all(recipe)
        held_out = [is_held_out(clip, recipe.data.held_out) for clip in store.clips]
        return store.select(not is_held for is_held in held_out), store.select(held_out)

    def open_all(self, recipe: Recipe) -> ClipStore:
        """Open all clips that a recipe chooses, those held out included.

        Raises:
            DatasetError: The data cannot be used.
        """
        if is_pack(self.path):
            return open_pack(self.path, self.cache, recipe)
        clips = find_clips(self.path, recipe.data, recipe.seed)
        return open_store(clips, self.cache, recipe.data.max_unreadable)


def find_clips(data: Path, recipe: DataRecipe, seed: int) -> list[SourceClip]:
    """List the clips of a run in a fixed order.

    Args:
        data: A folder, searched with its sub-folders, or a CSV manifest with a column ``path``
            relative to the manifest.
        recipe: Filter and number of clips.
        seed: Seed of the choice if there are more than ``max_files``.

    Raises:
        DatasetError: ``data`` does not exist or lacks a column, or fewer than two clips are left.
    """
    clips = read_clips(data)
    if recipe.leave_out is not None:
        clips = leave_out(clips, recipe.leave_out)
    for columns, wanted in ((recipe.where, True), (recipe.exclude, False)):
        for column, values in columns.items():
            if any(column not in clip.columns for clip in clips):
                raise DatasetError(
                    f"the filter names the column {column!r}, which the data does not have"
                )
            clips = [clip for clip in clips if matches(clip, {column: values}) == wanted]
    if len(clips) < 2:
        raise DatasetError(f"{data} and the recipe's filter leave {len(clips)} clips; 2 are needed")
    if recipe.max_files is not None and len(clips) > recipe.max_files:
        chosen = np.random.default_rng(seed).choice(len(clips), recipe.max_files, replace=False)
        clips = [clips[i] for i in sorted(chosen)]
    return clips


def is_held_out(clip: SourceClip, share: float) -> bool:
    """Decide by a hash of its recording whether a clip is held out of training.

    The result depends on the recording's name alone, so it is the same after other clips were
    added or removed, and in a later run that starts from an exported bundle.
    """
    digest = hashlib.sha256(clip.recording.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share
