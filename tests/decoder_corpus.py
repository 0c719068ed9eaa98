"""The kept corpus of the decoders: a small file of each container and codec, made by `synth`."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import numpy as np
import soundfile
import synth
from jaxtyping import Float32

FORMS = ("WAV", "WAVEX", "AIFF", "AU", "CAF", "W64", "RF64", "FLAC", "OGG", "MP3")
AAC = (("mp4", "aac"), ("mp4", "alac"), ("adts", "aac"))
_CHANNELS = {"G721_32": 1, "G723_24": 1, "G723_40": 1, "GSM610": 1, "NMS": 1, "DWVW": 1}
SECONDS = 0.25


@cache
def names() -> list[str]:
    """Name all files of the corpus: container and codec."""
    listed = [f"{form}-{codec}" for form in FORMS for codec in soundfile.available_subtypes(form)]
    of_ffmpeg = [f"{form}-{codec}" for form, codec in AAC if find_spec("av")]
    return [name for name in listed if _is_writable(name)] + of_ffmpeg


@cache
def make(name: str, seconds: float = SECONDS, sample_rate: int = 16_000) -> bytes:
    """Make the file of that name; with two channels where the codec has them."""
    form, _, codec = name.partition("-")
    samples = sound(seconds, sample_rate, n_channels=_n_channels(codec))
    if form in ("mp4", "adts"):
        return synth.encode_aac(samples, form=form, codec=codec, sample_rate=sample_rate)
    return synth.encode(samples, form=form, subtype=codec, sample_rate=sample_rate)


def _is_writable(name: str) -> bool:
    """Tell whether libsndfile writes a codec; it lists some that it only reads."""
    try:
        return bool(make(name))
    except soundfile.LibsndfileError:
        return False


def _n_channels(codec: str) -> int:
    return next((n for prefix, n in _CHANNELS.items() if codec.startswith(prefix)), 2)


def sound(
    seconds: float, sample_rate: int, n_channels: int = 1
) -> Float32[np.ndarray, "samples channels"]:
    """Make noise, and a chirp in the other channels."""
    noise = synth.noise(0, seconds, sample_rate=sample_rate)
    chirp = synth.chirp(100, 3000, seconds, sample_rate=sample_rate)
    return np.stack([noise, *[chirp] * (n_channels - 1)], axis=1)


def damaged_mp3() -> bytes:
    """Make an MP3 whose decoder reports damage and goes on."""
    data = bytearray(make("MP3-MPEG_LAYER_III", 1.0))
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    return bytes(data)
