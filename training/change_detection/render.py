"""Render the waveform of an excerpt."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Float32

from service.audio.decoding import decode
from service.audio.libsndfile import encode_mp3
from training.change_detection.excerpts import EXCERPT_SAMPLES, SHIFT_SAMPLES, Excerpt
from training.data.loudness import amplitude, fade, loudness
from training.data.store import ClipStore
from training.model.frontend import SAMPLE_RATE
from training.scenes.activity import active_part

SNR_LU = 0.0
GAINS_DB = {"+6 dB": 6.0, "-6 dB": -6.0}


def render_excerpt(store: ClipStore, excerpt: Excerpt) -> Float32[np.ndarray, " samples"]:
    """Cut an excerpt, add its event at the loudness of the excerpt, and apply its condition.

    Both loudnesses are integrated (ITU-R BS.1770): that of the active part of the event and that
    of the excerpt. Only MP3 clips samples.
    """
    start = excerpt.start + (SHIFT_SAMPLES if excerpt.condition == "50 ms" else 0)
    samples = store.part(excerpt.recording, start, start + EXCERPT_SAMPLES)
    if excerpt.event is not None:
        samples = add_event(samples, store.clip(excerpt.event), excerpt.onset)
    if excerpt.condition in GAINS_DB:
        return samples * np.float32(amplitude(GAINS_DB[excerpt.condition]))
    return through_mp3(samples) if excerpt.condition == "mp3" else samples


def add_event(
    samples: Float32[np.ndarray, " samples"], clip: Float32[np.ndarray, " event"], onset: float
) -> Float32[np.ndarray, " samples"]:
    """Add the active part of an event to an excerpt, at the same loudness.

    Args:
        samples: The excerpt.
        clip: The clip of the event.
        onset: Place of the event, from 0 (at the start) to 1 (as late as all of it fits).
    """
    start, stop = active_part(clip, SAMPLE_RATE) or (0, clip.size)
    event = clip[start:stop][: samples.size]
    gain_db = loudness(samples, SAMPLE_RATE) + SNR_LU - loudness(event, SAMPLE_RATE)
    begin = round(onset * (samples.size - event.size))
    mixture = samples.copy()
    mixture[begin : begin + event.size] += fade(event, SAMPLE_RATE) * np.float32(amplitude(gain_db))
    return mixture


def through_mp3(samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " samples"]:
    """Encode samples as MP3 and decode them to the same length."""
    encoded = io.BytesIO(encode_mp3(samples, SAMPLE_RATE))
    decoded = decode(encoded, sample_rate=SAMPLE_RATE).samples[: samples.size]
    return np.pad(decoded, (0, samples.size - decoded.size))
