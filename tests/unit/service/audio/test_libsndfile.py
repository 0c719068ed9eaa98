from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import synth

from service.audio.decoding import decode
from service.audio.libsndfile import (
    SoundFileStream,
    SourceView,
    encode_mp3,
    make_xing_header,
)

# Samples of silence that an MP3 decoder returns first; an Info header would tell it to skip them.
DELAY = 576 + 529


@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF", "AU", "CAF"])
def test_16_bit_samples_are_scaled_exactly(form: str) -> None:
    codes = np.array([-32_768, -1, 0, 1, 12_345, 32_767], np.int16)
    file = io.BytesIO()
    soundfile.write(file, codes, 16_000, format=form, subtype="PCM_16")
    stream = SoundFileStream(file)

    (block,) = stream.blocks()
    stream.close()

    assert block.dtype == np.float32
    np.testing.assert_array_equal(block[:, 0], codes.astype(np.float64) / 32_768)


@pytest.mark.parametrize("seconds", [0.05, 5.0])
def test_an_mp3_that_is_written_is_read_back(seconds: float) -> None:
    tone = synth.tone(440, seconds, amplitude=0.3)

    decoded = decode(io.BytesIO(encode_mp3(tone, 16_000)), sample_rate=16_000)

    assert decoded.media_type == "audio/mpeg"
    assert abs(decoded.samples.size - tone.size) <= 2 * 1152
    if seconds > 1:
        middle = slice(20_000, 60_000)
        assert np.std(decoded.samples[middle]) == pytest.approx(np.std(tone[middle]), rel=0.05)


class TestSourceView:
    def _view(self) -> SourceView:
        return SourceView(io.BytesIO(b"0123456789"), header=b"abc", skipped=4)

    def _read_all(self, view: SourceView) -> bytes:
        return b"".join(iter(lambda: view.read(4), b""))

    def test_the_header_replaces_the_skipped_bytes(self) -> None:
        assert self._read_all(self._view()) == b"abc456789"

    def test_without_a_header_it_equals_the_source(self) -> None:
        assert self._read_all(SourceView(io.BytesIO(b"0123456789"))) == b"0123456789"

    @pytest.mark.parametrize(
        ("offset", "whence", "position"),
        [(0, 0, 0), (5, 0, 5), (0, 2, 9), (-2, 2, 7), (3, 1, 5), (-2, 1, 0), (20, 0, 20)],
    )
    def test_positions_include_the_header(self, offset: int, whence: int, position: int) -> None:
        view = self._view()
        view.read(2)
        assert view.seek(offset, whence) == view.tell() == position
        assert view.read(9) == b"abc456789"[position:][: 3 - position if position < 3 else 9]

    @pytest.mark.parametrize(("offset", "whence"), [(-1, 0), (-3, 1), (-100, 2), (2**62, 0)])
    def test_a_seek_to_an_invalid_position_has_no_effect(self, offset: int, whence: int) -> None:
        view = self._view()
        view.read(2)
        assert view.seek(offset, whence) == view.tell() == 2


def encode_variable_rate(sample_rate: int, channels: int) -> bytes:
    """Make an MP3 of variable bit rate whose first frames are much larger than the others."""
    samples = np.stack([synth.noise(0, 6, sample_rate=sample_rate)] * channels, axis=1)
    samples[sample_rate:] *= 1e-4
    return synth.encode(samples, sample_rate=sample_rate, form="MP3")


def without_length(data: bytes) -> bytes:
    return data[data.index(data[:2], 4) :]


def id3_tag(size: int) -> bytes:
    return b"ID3\x04\0\0" + bytes((0, 0, size >> 7, size & 0x7F)) + bytes(size)


class TestXingHeader:
    @pytest.mark.parametrize("sample_rate", [8_000, 11_025, 16_000, 24_000, 32_000, 44_100, 48_000])
    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("tag", [b"", id3_tag(300)])
    def test_an_mp3_that_states_no_length_is_read_to_its_end(
        self, sample_rate: int, channels: int, tag: bytes
    ) -> None:
        whole = encode_variable_rate(sample_rate, channels)
        expected = decode(io.BytesIO(whole), sample_rate=sample_rate)
        found = decode(io.BytesIO(tag + without_length(whole)), sample_rate=sample_rate)
        assert expected.samples.size <= found.samples.size <= expected.samples.size + 2 * DELAY
        lags = np.correlate(found.samples[: 2 * DELAY + 4000], expected.samples[:4000])
        aligned = found.samples[np.argmax(lags) :]
        np.testing.assert_allclose(aligned[:4000], expected.samples[:4000], atol=1e-4)

    @pytest.mark.parametrize("form", ["MP3", "WAV", "FLAC", "OGG"])
    def test_a_file_that_states_its_length_needs_none(self, form: str) -> None:
        data = synth.encode(synth.noise(0), form=form)
        assert make_xing_header(io.BytesIO(data)) == (b"", 0)

    @pytest.mark.parametrize(
        "data", [b"", b"\xff", b"\xff\xfb\x90", b"ID3", id3_tag(10), b"\xff" * 40]
    )
    def test_other_content_needs_none(self, data: bytes) -> None:
        assert make_xing_header(io.BytesIO(data)) == (b"", 0)

    def test_the_header_replaces_the_tag(self) -> None:
        data = id3_tag(300) + without_length(encode_variable_rate(44_100, 2))
        header, skipped = make_xing_header(io.BytesIO(data))
        assert skipped == 310
        assert header[:2] == data[310:312]
        assert b"Xing" in header
