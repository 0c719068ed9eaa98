"""From a drawn clip to its waveform, by Scaper's rule (facts, section 3.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from training.data.loudness import fade, gain
from training.data.store import ClipStore
from training.model.frontend import SAMPLE_RATE
from training.scenes.pair import Clip, Item
from training.scenes.pool import CUT_S
from training.scenes.scene import CLIP_S

# Brings quiet recordings over the gate of the loudness; their level is set afterwards.
BACKGROUND_PEAK = 0.95

SoundOf = Callable[[Item], Float32[np.ndarray, " samples"]]


def render(
    clip: Clip, ref_db: float, sound_of: SoundOf, sample_rate: int
) -> Float32[np.ndarray, " samples"]:
    """Add up the items of a clip, each at its loudness.

    The loudness of an item is measured on its excerpt, before the fades. Nothing is clipped: the
    sum may exceed full scale.

    Args:
        clip: The clip.
        ref_db: The loudness that the items' ratios are over [LUFS].
        sound_of: Gives the prepared sound that an item is an excerpt of.
        sample_rate: Its rate and that of the result [Hz].
    """
    mixture = np.zeros(round(CLIP_S * sample_rate), np.float32)
    for item in clip.items:
        onset = round(item.onset_s * sample_rate)
        excerpt = _excerpt(item, sound_of(item), sample_rate)[: mixture.size - onset]
        excerpt *= np.float32(gain(excerpt, ref_db + item.snr_db, sample_rate))
        if item.role != "background":
            excerpt = fade(excerpt, sample_rate)
        mixture[onset : onset + excerpt.size] += excerpt
    return mixture


def _excerpt(
    item: Item, sound: Float32[np.ndarray, " samples"], sample_rate: int
) -> Float32[np.ndarray, " samples"]:
    first = round(item.source_time_s * sample_rate)
    excerpt: np.ndarray = sound[first : first + max(round(item.duration_s * sample_rate), 1)]
    return excerpt.copy()


def repeated(
    sound: Float32[np.ndarray, " samples"], sample_rate: int
) -> Float32[np.ndarray, " samples"]:
    """Repeat a background until excerpts at any place fit, and bring its peak near full scale."""
    shortest = round(CUT_S * sample_rate)
    if sound.size < shortest:
        sound = np.tile(sound, shortest // sound.size + 1)
    peak = float(np.abs(sound).max())
    scaled: np.ndarray = sound * np.float32(BACKGROUND_PEAK / peak) if peak > 0 else sound
    return scaled


def faded_event(
    sound: Float32[np.ndarray, " samples"], sample_rate: int
) -> Float32[np.ndarray, " samples"]:
    """Fade the active part of an event in and out with the halves of a Hann window."""
    return fade(sound, sample_rate, power=2)


@dataclass(frozen=True, slots=True)
class StoredSounds:
    """The prepared sounds of a store, by the name of their file."""

    store: ClipStore
    rows: dict[str, int]

    def __call__(self, item: Item) -> Float32[np.ndarray, " samples"]:
        """Cut out the sound that an item is an excerpt of, and prepare it."""
        first = round(item.from_s * SAMPLE_RATE)
        last = first + round(item.length_s * SAMPLE_RATE)
        sound = self.store.part(self.rows[item.path], first, last)
        return (faded_event if item.role == "event" else repeated)(sound, SAMPLE_RATE)

    @classmethod
    def of(cls, store: ClipStore) -> StoredSounds:
        """Look sounds up in a store."""
        return cls(store, {clip.name: row for row, clip in enumerate(store.clips)})
