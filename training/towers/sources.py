"""The clips that towers were trained on: found in the manifest, with their licences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from service.bundle.files import hash_file
from service.bundle.manifest import DataSource
from training.data.attribution import corpus_of, licence_of
from training.data.manifest import SourceClip, read_clips
from training.errors import DatasetError, LicenceError
from training.towers.run import LoadedTowers


def find_sources(loaded: LoadedTowers, data: Path, *, any_licence: bool) -> list[SourceClip]:
    """Look the clips of a training up in the manifest they were taken from.

    Args:
        loaded: The towers.
        data: The manifest.
        any_licence: Accept clips that are not permissive.

    Raises:
        DatasetError: The manifest is another one, or does not know a clip.
        LicenceError: A clip is not permissive.
    """
    stated = loaded.data.get("manifest_sha256")
    if stated not in (None, hash_file(data).sha256):
        raise DatasetError(f"the scenes were made of another manifest than {data}")
    known = {clip.name: clip for clip in read_clips(data)}
    if missing := [name for name in loaded.sources if name not in known]:
        raise DatasetError(f"{data} does not know {len(missing)} clips, {missing[0]} for one")
    clips = [known[name] for name in loaded.sources]
    closed = [clip for clip in clips if clip.columns.get("permissive") != "1"]
    if closed and not any_licence:
        raise LicenceError(
            f"the towers were trained on {len(closed)} clips whose licence does not let the result "
            f"be shipped, {closed[0].name} for one; train on scenes made with --permissive, or say "
            f"--any-licence for a bundle that stays where it is"
        )
    return clips


def describe_sources(clips: Sequence[SourceClip]) -> list[DataSource]:
    """Sum up the clips of each corpus: how many, how long, under which licences."""
    corpora = defaultdict(list)
    for clip in clips:
        corpora[corpus_of(clip)].append(clip)
    return [
        DataSource(
            corpus=corpus,
            clips=len(members),
            seconds=round(sum(float(clip.columns.get("seconds") or 0) for clip in members), 1),
            licences=dict(Counter(map(licence_of, members))),
        )
        for corpus, members in sorted(corpora.items())
    ]
