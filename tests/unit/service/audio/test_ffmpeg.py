from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import synth

from service.audio.decoding import Audio, AudioLimits, decode
from service.audio.errors import (
    AudioEmptyError,
    AudioTooLongError,
    AudioTruncatedError,
    AudioUndecodableError,
    SampleRateUnsupportedError,
)

pytest.importorskip("av", reason="the extra `aac` is not installed")

# Samples that the AAC encoder adds before the first one; these files do not state that they are to
# be skipped.
PRIMING = 1024


def _decode(data: bytes, limits: AudioLimits | None = None) -> Audio:
    return decode(io.BytesIO(data), sample_rate=16_000, limits=limits)


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_m4a_decodes_and_mixes_down(channels: int) -> None:
    samples = synth.chirp(200, 3000, 2)
    decoded = _decode(synth.encode_aac(np.stack([samples] * channels, axis=1)))
    assert (decoded.media_type, decoded.source_channels) == ("audio/mp4", channels)
    waveform = decoded.samples[PRIMING:][: samples.size]
    # The low-frequency channel of a surround layout loses the high end.
    assert np.corrcoef(waveform, samples)[0, 1] > 0.9


def test_adts_decodes() -> None:
    decoded = _decode(synth.encode_aac(synth.tone(440, 2)[:, None], form="adts"))
    assert decoded.media_type == "audio/aac"
    assert decoded.samples.size >= 32_000


def test_alac_gives_the_samples_back() -> None:
    samples = synth.chirp(200, 3000)
    decoded = _decode(synth.encode_aac(samples[:, None], codec="alac"))
    np.testing.assert_allclose(decoded.samples, samples, atol=2**-15)


def test_other_rates_are_resampled() -> None:
    samples = synth.tone(440, 2, sample_rate=44_100)
    data = synth.encode_aac(samples[:, None], sample_rate=44_100, codec="alac")
    decoded = _decode(data)
    assert decoded.source_rate_hz == 44_100
    np.testing.assert_allclose(decoded.samples[800:-800], synth.tone(440, 2)[800:-800], atol=1e-3)


def test_the_edit_list_removes_the_priming() -> None:
    """Other encoders state where the sound starts."""
    samples = synth.chirp(200, 3000, 2)
    data = bytearray(synth.encode_aac(samples[:, None]))
    media_time = data.index(b"elst") + 16
    data[media_time : media_time + 4] = struct.pack(">I", PRIMING)
    assert np.corrcoef(_decode(bytes(data)).samples[: samples.size], samples)[0, 1] > 0.99


@pytest.mark.parametrize("share", [0.9, 0.5])
@pytest.mark.parametrize("form", ["mp4", "adts"])
def test_a_file_that_was_cut_off_is_truncated(form: str, share: float) -> None:
    data = synth.encode_aac(synth.noise(0, 4)[:, None], form=form)
    with pytest.raises(AudioTruncatedError):
        _decode(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">I4s8s", 16, b"ftyp", b"M4A \0\0\0\0"),
        struct.pack(">I4s8sI4s", 16, b"ftyp", b"M4A \0\0\0\0", 8, b"moov"),
        b"\xff\xf1\x50\x80" + bytes(100),
        b"\xff\xf1\x50\x80\x01\x7f\xfc" + b"\xaa" * 1000,
    ],
)
def test_bytes_that_only_start_like_aac(data: bytes) -> None:
    with pytest.raises((AudioUndecodableError, AudioTruncatedError, AudioEmptyError)):
        _decode(data)


def test_codecs_other_than_aac_and_alac_are_refused() -> None:
    data = synth.encode_aac(synth.tone(440)[:, None], codec="libmp3lame")
    with pytest.raises(AudioUndecodableError, match="aac, alac"):
        _decode(data)


def test_limits_hold() -> None:
    data = synth.encode_aac(synth.silence(60)[:, None])
    with pytest.raises(AudioTooLongError):
        _decode(data, AudioLimits(max_seconds=10))


def test_a_file_cannot_make_the_decoder_open_another(tmp_path: Path) -> None:
    """A playlist inside an MP4 header is not followed: the demuxer is forced."""
    secret = synth.write(tmp_path / "secret.wav", synth.tone(440))
    data = f"\0\0\0\x10ftyp#EXTM3U\n#EXTINF:1,\nfile://{secret}\n".encode()
    with pytest.raises((AudioUndecodableError, AudioTruncatedError)):
        _decode(data)


def test_sample_rates_out_of_range() -> None:
    """ALAC files may state any rate."""
    data = synth.encode_aac(synth.tone(100)[:, None], sample_rate=2_000, codec="alac")
    with pytest.raises(SampleRateUnsupportedError):
        _decode(data)
