"""From a take to its waveform."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Float32

from service.audio.decoding import decode
from service.audio.libsndfile import encode_mp3
from training.change_detection.takes import EXCERPT, SHIFT, Take
from training.data.loudness import amplitude, fade, loudness
from training.data.store import ClipStore
from training.model.frontend import SAMPLE_RATE
from training.scenes.activity import active_part

SNR_LU = 0.0
GAINS_DB = {"+6 dB": 6.0, "-6 dB": -6.0}


def render_take(store: ClipStore, take: Take) -> Float32[np.ndarray, " samples"]:
    """Cut an excerpt out, add its event at the excerpt's loudness, and bring it to its condition.

    Both loudnesses are integrated (ITU-R BS.1770), of the event's active part and of the excerpt
    it is added to. Nothing is clipped but by the MP3.
    """
    first = take.first + (SHIFT if take.condition == "50 ms" else 0)
    excerpt = store.part(take.row, first, first + EXCERPT)
    if take.event is not None:
        excerpt = add_event(excerpt, store.clip(take.event), take.onset)
    if take.condition in GAINS_DB:
        return excerpt * np.float32(amplitude(GAINS_DB[take.condition]))
    return through_mp3(excerpt) if take.condition == "mp3" else excerpt


def add_event(
    excerpt: Float32[np.ndarray, " samples"], sound: Float32[np.ndarray, " event"], onset: float
) -> Float32[np.ndarray, " samples"]:
    """Add the active part of an event to an excerpt, as loud as that.

    Args:
        excerpt: What it is added to.
        sound: The clip of the event.
        onset: Where it begins, 0 (at once) to 1 (as late as all of it fits).
    """
    start, stop = active_part(sound, SAMPLE_RATE) or (0, sound.size)
    event = sound[start:stop][: excerpt.size]
    level = loudness(excerpt, SAMPLE_RATE) + SNR_LU - loudness(event, SAMPLE_RATE)
    begin = round(onset * (excerpt.size - event.size))
    mixture = excerpt.copy()
    mixture[begin : begin + event.size] += fade(event, SAMPLE_RATE) * np.float32(amplitude(level))
    return mixture


def through_mp3(samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " samples"]:
    """Write a sound as MP3 and read it back."""
    decoded = decode(io.BytesIO(encode_mp3(samples, SAMPLE_RATE)), sample_rate=SAMPLE_RATE).samples
    kept = decoded[: samples.size]
    return np.pad(kept, (0, samples.size - kept.size))
