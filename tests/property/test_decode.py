"""Any bytes are decoded to audio or raise an audio error, and no other error."""

from __future__ import annotations

import io
from functools import cache
from importlib.util import find_spec

import numpy as np
import synth
from hypothesis import given, settings
from hypothesis import strategies as st

from service.audio.decoding import MAX_AMPLITUDE, AudioLimits, decode
from service.audio.errors import (
    AudioError,
)

LIMITS = AudioLimits(max_seconds=30, max_samples=1_000_000)
FORMATS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAV", "MS_ADPCM"),
    ("WAV", "ULAW"),
    ("AIFF", "PCM_24"),
    ("AU", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("W64", "PCM_16"),
    ("RF64", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]
if find_spec("av"):
    FORMATS += [("mp4", "aac"), ("mp4", "alac"), ("adts", "aac")]
MAGICS = [
    b"",
    b"RIFF\x40\0\0\0WAVEfmt ",
    b"FORM\0\0\1\0AIFF",
    b".snd\0\0\0\x18",
    b"caff\0\1\0\0desc",
    b"fLaC\0\0\0\x22",
    b"OggS\0\x02",
    b"ID3\x04\0\0",
    b"\xff\xfb\x90",
    b"\xff\xf1\x50\x80",
    b"\0\0\0\x18ftypM4A \0\0\0\0",
]


@cache
def _valid(form: str, subtype: str) -> bytes:
    samples = np.stack([synth.noise(0, 0.5), synth.chirp(100, 4000, 0.5)], axis=1)
    if form in ("mp4", "adts"):
        return synth.encode_aac(samples, form=form, codec=subtype)
    return synth.encode(samples, form=form, subtype=subtype)


def _decode_or_refuse(data: bytes) -> None:
    try:
        audio = decode(io.BytesIO(data), sample_rate=16_000, limits=LIMITS)
    except AudioError:
        return
    assert audio.samples.dtype == np.float32
    assert 1 <= audio.samples.size <= LIMITS.max_samples
    assert 0 < audio.duration_s <= LIMITS.max_seconds
    # Resampling overshoots a little where the source jumps.
    assert np.abs(audio.samples).max() <= 4 * MAX_AMPLITUDE


@settings(max_examples=300)
@given(magic=st.sampled_from(MAGICS), rest=st.binary(max_size=2000))
def test_any_bytes_become_audio_or_an_audio_error(magic: bytes, rest: bytes) -> None:
    _decode_or_refuse(magic + rest)


@settings(max_examples=300)
@given(
    form=st.sampled_from(FORMATS),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=12),
    share=st.just(1.0) | st.floats(0, 1),
    reach=st.sampled_from([40, 200, 1_000_000]),
)
def test_a_damaged_file_becomes_audio_or_an_audio_error(
    form: tuple[str, str], changes: list[tuple[float, int]], share: float, reach: int
) -> None:
    data = bytearray(_valid(*form))
    for position, value in changes:
        data[int(position * min(reach, len(data)))] = value
    _decode_or_refuse(bytes(data[: round(share * len(data))]))


@settings(max_examples=60)
@given(
    n_samples=st.integers(1, 20_000),
    rate=st.integers(4_000, 384_000),
    channels=st.integers(1, 8),
)
def test_a_resampled_clip_has_the_rounded_length(n_samples: int, rate: int, channels: int) -> None:
    data = synth.encode(np.zeros((n_samples, channels)), sample_rate=rate, form="WAV")
    audio = decode(io.BytesIO(data), sample_rate=16_000)
    half_up = (2 * n_samples * 16_000 + rate) // (2 * rate)
    assert audio.samples.size == max(1, half_up)
