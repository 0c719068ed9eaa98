"""Rendering of a drawn clip by Scaper's rule (docs/method.md, "Rendering")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from training.data.loudness import fade, gain
from training.data.store import ClipStore
from training.model.frontend import SAMPLE_RATE
from training.scenes.pair import CLIP_S, Clip, Item, Pair
from training.scenes.pool import BACKGROUND_S

# Brings quiet recordings over the gate of the loudness; their level is set afterwards.
BACKGROUND_PEAK = 0.95

Waveform = Float32[np.ndarray, " samples"]
SourceOf = Callable[[Item], Waveform]
"""Returns the prepared source that an item is an excerpt of."""


def render_clip(clip: Clip, ref_db: float, source_of: SourceOf, sample_rate: int) -> Waveform:
    """Add up the items of a clip, each at its loudness.

    The loudness of an item is measured on its excerpt, before the fades. Nothing is clipped: the
    sum may exceed full scale.

    Args:
        clip: The clip.
        ref_db: The reference of the items' levels [LUFS].
        source_of: Returns the prepared source of an item.
        sample_rate: Rate of the sources and of the result [Hz].
    """
    mixture = np.zeros(round(CLIP_S * sample_rate), np.float32)
    for item in clip.items:
        onset = round(item.onset_s * sample_rate)
        excerpt = _excerpt(item, source_of(item), sample_rate)[: mixture.size - onset]
        excerpt *= np.float32(gain(excerpt, ref_db + item.snr_db, sample_rate))
        if item.role != "background":
            excerpt = fade(excerpt, sample_rate)
        mixture[onset : onset + excerpt.size] += excerpt
    return mixture


def render_pair(pair: Pair, source_of: SourceOf) -> tuple[Waveform, Waveform]:
    """Render the query and the target of a pair at 16 kHz."""
    query, target = (
        render_clip(clip, pair.ref_db, source_of, SAMPLE_RATE) for clip in (pair.query, pair.target)
    )
    return query, target


def _excerpt(item: Item, source: Waveform, sample_rate: int) -> Waveform:
    first = round(item.source_time_s * sample_rate)
    excerpt: np.ndarray = source[first : first + max(round(item.duration_s * sample_rate), 1)]
    return excerpt.copy()


def prepare_background(waveform: Waveform, sample_rate: int) -> Waveform:
    """Repeat a background until every excerpt fits, and bring its peak to 0.95."""
    shortest = round(BACKGROUND_S * sample_rate)
    if waveform.size < shortest:
        waveform = np.tile(waveform, shortest // waveform.size + 1)
    peak = float(np.abs(waveform).max())
    scaled: np.ndarray = waveform * np.float32(BACKGROUND_PEAK / peak) if peak > 0 else waveform
    return scaled


def prepare_event(waveform: Waveform, sample_rate: int) -> Waveform:
    """Fade the active part of an event in and out with the halves of a Hann window."""
    return fade(waveform, sample_rate, power=2)


@dataclass(frozen=True, slots=True)
class StoredSources:
    """The prepared sources in a store of clips.

    Attributes:
        store: The decoded clips.
        rows: Row of each clip, by the name of its file.
    """

    store: ClipStore
    rows: dict[str, int]

    def __call__(self, item: Item) -> Waveform:
        """Cut out and prepare the source that an item is an excerpt of."""
        first = round(item.from_s * SAMPLE_RATE)
        last = first + round(item.length_s * SAMPLE_RATE)
        waveform = self.store.part(self.rows[item.path], first, last)
        prepare = prepare_event if item.role == "event" else prepare_background
        return prepare(waveform, SAMPLE_RATE)

    @classmethod
    def of(cls, store: ClipStore) -> StoredSources:
        """Index a store by the names of its files."""
        return cls(store, {clip.name: row for row, clip in enumerate(store.clips)})
