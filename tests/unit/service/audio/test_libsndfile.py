from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import synth

from service.audio.decoding import decode
from service.audio.libsndfile import BLOCK_FRAMES, SoundFileStream, encode_mp3
from service.errors import AudioTruncatedError, AudioUndecodableError


@pytest.mark.parametrize(("form", "name"), [("WAV", "audio/wav"), ("FLAC", "audio/flac")])
def test_a_file_is_read_in_blocks(form: str, name: str) -> None:
    samples = synth.noise(0, 20.0)
    stream = SoundFileStream(io.BytesIO(synth.encode(samples, form=form)))

    blocks = list(stream.blocks())
    stream.close()

    assert [len(block) for block in blocks] == [BLOCK_FRAMES, samples.size - BLOCK_FRAMES]
    np.testing.assert_allclose(np.concatenate(blocks)[:, 0], samples, atol=1e-4)
    assert (stream.media_type, stream.sample_rate_hz, stream.channels) == (name, 16_000, 1)


def test_what_is_cut_short_is_told_after_what_there_is() -> None:
    content = synth.encode(synth.noise(0, 5.0), form="FLAC")
    stream = SoundFileStream(io.BytesIO(content[: len(content) // 2]))
    blocks = stream.blocks()

    with pytest.raises(AudioTruncatedError):
        list(blocks)


def test_what_is_no_audio_is_refused() -> None:
    with pytest.raises(AudioUndecodableError):
        SoundFileStream(io.BytesIO(b"RIFF" + bytes(100)))


@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF", "AU", "CAF"])
def test_16_bits_become_their_share_of_full_scale_exactly(form: str) -> None:
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
