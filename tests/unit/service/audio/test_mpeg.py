from __future__ import annotations

import io

import numpy as np
import pytest
import synth

from service.audio.decoding import decode
from service.audio.mpeg import length_header

# The silence that an MP3 decoder puts first and an Info header would tell it to leave out.
DELAY = 576 + 529


def _encode(sample_rate: int, channels: int) -> bytes:
    """Make an MP3 of variable bit rate whose first frames are much larger than the others."""
    samples = np.stack([synth.noise(0, 6, sample_rate=sample_rate)] * channels, axis=1)
    samples[sample_rate:] *= 1e-4
    return synth.encode(samples, sample_rate=sample_rate, form="MP3")


def _without_length(data: bytes) -> bytes:
    return data[data.index(data[:2], 4) :]


def _id3(size: int) -> bytes:
    return b"ID3\x04\0\0" + bytes((0, 0, size >> 7, size & 0x7F)) + bytes(size)


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 16_000, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("tag", [b"", _id3(300)])
def test_an_mp3_that_states_no_length_is_read_to_its_end(
    sample_rate: int, channels: int, tag: bytes
) -> None:
    whole = _encode(sample_rate, channels)
    expected = decode(io.BytesIO(whole), sample_rate=sample_rate)
    found = decode(io.BytesIO(tag + _without_length(whole)), sample_rate=sample_rate)
    assert expected.samples.size <= found.samples.size <= expected.samples.size + 2 * DELAY
    lags = np.correlate(found.samples[: 2 * DELAY + 4000], expected.samples[:4000])
    aligned = found.samples[np.argmax(lags) :]
    np.testing.assert_allclose(aligned[:4000], expected.samples[:4000], atol=1e-4)


@pytest.mark.parametrize("form", ["MP3", "WAV", "FLAC", "OGG"])
def test_files_that_state_their_length_are_left_alone(form: str) -> None:
    data = synth.encode(synth.noise(0), form=form)
    assert length_header(io.BytesIO(data)) == (b"", 0)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xfb\x90", b"ID3", _id3(10), b"\xff" * 40])
def test_what_is_no_mp3_is_left_alone(data: bytes) -> None:
    assert length_header(io.BytesIO(data)) == (b"", 0)


def test_the_header_replaces_the_tag() -> None:
    data = _id3(300) + _without_length(_encode(44_100, 2))
    header, skipped = length_header(io.BytesIO(data))
    assert skipped == 310
    assert header[:2] == data[310:312]
    assert b"Xing" in header
