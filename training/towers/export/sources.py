"""The clips that towers were trained on: found in the manifest, with their licences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.bundle.files import hash_file
from service.bundle.manifest import DataSource
from training.data.attribution import summarise_corpora
from training.data.manifest import SourceClip, read_clips
from training.data.splits import matches
from training.errors import DatasetError, LicenceError
from training.scenes.pool import PERMISSIVE
from training.towers.run import LoadedTowers


def find_sources(loaded: LoadedTowers, data: Path, *, any_licence: bool) -> list[SourceClip]:
    """Find the clips of a training in its manifest.

    Args:
        loaded: The towers.
        data: The manifest.
        any_licence: Accept clips that are not permissive.

    Raises:
        DatasetError: It is another manifest, or a clip is not in it.
        LicenceError: A clip is not permissive.
    """
    expected = loaded.data.get("manifest_sha256")
    if expected not in (None, hash_file(data).sha256):
        raise DatasetError(f"the scenes were made of another manifest than {data}")
    known = {clip.name: clip for clip in read_clips(data)}
    if missing := [name for name in loaded.sources if name not in known]:
        raise DatasetError(f"{data} lacks {len(missing)} clips, for example {missing[0]}")
    clips = [known[name] for name in loaded.sources]
    restricted = [clip for clip in clips if not matches(clip, PERMISSIVE)]
    if restricted and not any_licence:
        raise LicenceError(
            f"the towers were trained on {len(restricted)} clips whose licence does not let the "
            f"result be shipped, {restricted[0].name} for one; train on scenes made with "
            f"--permissive, or say --any-licence for a bundle that stays where it is"
        )
    return clips


def summarise_sources(clips: Sequence[SourceClip]) -> list[DataSource]:
    """Summarise the clips of each corpus, with the durations in the manifest."""
    seconds = [float(clip.columns.get("seconds") or 0) for clip in clips]
    return summarise_corpora(clips, lambda rows: sum(seconds[i] for i in rows))
