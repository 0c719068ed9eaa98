"""Rendering of the official APwD pairs from the user's FSD50K and ESC-50."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from service.audio.decoding import AUDIO_SUFFIXES, AudioLimits, decode, resample
from service.audio.errors import (
    AudioError,
)
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE
from training.scenes.activity import active_part
from training.scenes.apwd import Release, read_release
from training.scenes.generate import SceneRendering, embed_set, open_scene_encoder
from training.scenes.load import EventRow
from training.scenes.pair import CLIP_S, Clip, Item, Pair
from training.scenes.render import Waveform, prepare_background, prepare_event, render_clip

# Number of prepared sources in memory: enough for pairs that follow one another.
CACHED_SOURCES = 128


class ApwdSources:
    """The prepared sources of a release, found by the names of their files.

    Args:
        release: The release that they are needed for.
        fsd50k: Folder with the backgrounds, at any depth.
        esc50: Folder with the events, at any depth.

    Raises:
        DatasetError: Some of the files that the release names are missing.
    """

    def __init__(self, release: Release, fsd50k: Path, esc50: Path) -> None:
        self.sample_rate = release.sample_rate
        backgrounds, events = _index(fsd50k), _index(esc50)
        items = {(i.role == "event", i.path) for pair in release.pairs for i in pair.items}
        self._paths = {
            (is_event, name): (events if is_event else backgrounds).get(name)
            for is_event, name in items
        }
        missing = sorted(name for (_, name), path in self._paths.items() if path is None)
        if missing:
            raise DatasetError(
                f"{len(missing)} of {len(items)} source files are in neither {fsd50k} nor {esc50}, "
                f"the first of them {missing[0]}"
            )
        self._prepared = lru_cache(maxsize=CACHED_SOURCES)(self._prepare)

    def __call__(self, item: Item) -> Waveform:
        """Return the prepared source of an item, at the rate of the release."""
        return self._prepared(item.role == "event", item.path)

    def render(self, clip: Clip, ref_db: float) -> Waveform:
        """Render a clip, limited to full scale as in an integer file, and resample it to 16 kHz."""
        mixture = render_clip(clip, ref_db, self, self.sample_rate).clip(-1.0, 1.0)
        resampled = resample(mixture, self.sample_rate, SAMPLE_RATE)
        exact: Waveform = np.zeros(round(CLIP_S * SAMPLE_RATE), np.float32)
        n_samples = min(exact.size, resampled.size)
        exact[:n_samples] = resampled[:n_samples]
        return exact

    def event(self, event: EventRow) -> Waveform:
        """Decode a clean event at 16 kHz."""
        return self._decode(True, event.path, SAMPLE_RATE)

    def _prepare(self, is_event: bool, name: str) -> Waveform:
        waveform = self._decode(is_event, name, self.sample_rate)
        if not is_event:
            return prepare_background(waveform, self.sample_rate)
        start, stop = active_part(waveform, self.sample_rate) or (0, waveform.size)
        return prepare_event(waveform[start:stop], self.sample_rate)

    def _decode(self, is_event: bool, name: str, sample_rate: int) -> Waveform:
        path = self._paths[is_event, name]
        assert path is not None  # checked in the constructor
        try:
            return decode(path, sample_rate=sample_rate, limits=AudioLimits()).samples
        except AudioError as error:
            raise DatasetError(f"{path}: {error}") from error


def generate_apwd(jams: Path, fsd50k: Path, esc50: Path, bundle: Path, out: Path) -> None:
    """Render the pairs of a folder of JAMS files and embed their clips, or continue a stopped run.

    Args:
        jams: Folder of one subset and split.
        fsd50k: The user's FSD50K.
        esc50: The user's ESC-50.
        bundle: Bundle whose encoder embeds.
        out: Folder of the set.

    Raises:
        DatasetError: The release or its sources are not complete.
        BundleError: The bundle cannot be used.
    """
    encoder = open_scene_encoder(bundle)
    release = read_release(jams)
    sources = ApwdSources(release, fsd50k, esc50)

    def render_pair(pair: Pair) -> tuple[Waveform, Waveform]:
        return sources.render(pair.query, pair.ref_db), sources.render(pair.target, pair.ref_db)

    rendering = SceneRendering(
        pairs=release.pairs,
        events=release.events,
        render_pair=render_pair,
        render_event=sources.event,
    )
    about: dict[str, object] = {
        "scene": release.kind,
        "release": "apwd",
        "n_pairs": len(release.pairs),
        "jams_sha256": _hash(jams),
    }
    embed_set(rendering, [encoder], out, about)


def _index(folder: Path) -> Mapping[str, Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
    return {path.name: path for path in files}


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*_s[12].jams")):
        digest.update(f"{path.name}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
