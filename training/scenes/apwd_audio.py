"""Rendering the official APwD pairs from the user's FSD50K and ESC-50 (facts, section 3.7)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from service.audio.decoding import AUDIO_SUFFIXES, AudioLimits, decode, resample
from service.errors import AudioError
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE
from training.scenes.activity import active_part
from training.scenes.apwd import Release, read_release
from training.scenes.generate import Material, embed_set, open_encoder
from training.scenes.load import EventRow
from training.scenes.pair import Clip, Item, Pair
from training.scenes.render import faded_event, render, repeated
from training.scenes.scene import CLIP_S

# Decoded sounds that are kept: enough for pairs that follow one another, and few enough to hold.
KEPT_SOUNDS = 128

Sound = Float32[np.ndarray, " samples"]


class ApwdSounds:
    """The prepared sources of a release, found by the names of their files.

    Args:
        release: What they are for.
        fsd50k: Folder with the backgrounds, below it at any depth.
        esc50: Folder with the events.

    Raises:
        DatasetError: Some of the files that the release names are not there.
    """

    def __init__(self, release: Release, fsd50k: Path, esc50: Path) -> None:
        self.sample_rate = release.sample_rate
        backgrounds, events = _index(fsd50k), _index(esc50)
        items = {(i.role == "event", i.path) for i in _items(release.pairs)}
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
        self._prepared = lru_cache(maxsize=KEPT_SOUNDS)(self._prepare)

    def __call__(self, item: Item) -> Sound:
        """Give the prepared sound that an item is an excerpt of, at the rate of the release."""
        return self._prepared(item.role == "event", item.path)

    def clip(self, clip: Clip, ref_db: float) -> Sound:
        """Render a clip, cut at full scale as in an integer file, and bring it to 16 kHz."""
        mixture = render(clip, ref_db, self, self.sample_rate).clip(-1.0, 1.0)
        found = resample(mixture, self.sample_rate, SAMPLE_RATE)
        exact: Sound = np.zeros(round(CLIP_S * SAMPLE_RATE), np.float32)
        n_samples = min(exact.size, found.size)
        exact[:n_samples] = found[:n_samples]
        return exact

    def event(self, event: EventRow) -> Sound:
        """Decode a clean event at 16 kHz."""
        return self._decode(True, event.path, SAMPLE_RATE)

    def _prepare(self, is_event: bool, name: str) -> Sound:
        sound = self._decode(is_event, name, self.sample_rate)
        if not is_event:
            return repeated(sound, self.sample_rate)
        start, stop = active_part(sound, self.sample_rate) or (0, sound.size)
        return faded_event(sound[start:stop], self.sample_rate)

    def _decode(self, is_event: bool, name: str, sample_rate: int) -> Sound:
        path = self._paths[is_event, name]
        assert path is not None  # the constructor looked
        try:
            return decode(path, sample_rate=sample_rate, limits=AudioLimits()).samples
        except AudioError as error:
            raise DatasetError(f"{path}: {error}") from error


def generate_apwd(jams: Path, fsd50k: Path, esc50: Path, bundle: Path, out: Path) -> None:
    """Render the pairs of a folder of JAMS files and embed their clips, or go on with it.

    Args:
        jams: Folder of one subset and split.
        fsd50k: The user's FSD50K.
        esc50: The user's ESC-50.
        bundle: Whose encoder embeds.
        out: Folder of the set.

    Raises:
        DatasetError: The release or its sources are not complete.
        BundleError: The bundle cannot be used.
    """
    encoder = open_encoder(bundle)
    release = read_release(jams)
    sounds = ApwdSounds(release, fsd50k, esc50)

    def render_pair(pair: Pair) -> tuple[Sound, Sound]:
        return sounds.clip(pair.query, pair.ref_db), sounds.clip(pair.target, pair.ref_db)

    material = Material(
        pairs=release.pairs,
        events=release.events,
        render_pair=render_pair,
        render_event=sounds.event,
    )
    about: dict[str, object] = {
        "scene": release.kind,
        "release": "apwd",
        "n_pairs": len(release.pairs),
        "jams_sha256": _hash(jams),
    }
    embed_set(material, [encoder], out, about)


def _items(pairs: Iterable[Pair]) -> Iterable[Item]:
    return (item for pair in pairs for clip in (pair.query, pair.target) for item in clip.items)


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
