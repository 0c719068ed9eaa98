from __future__ import annotations

import io
import struct
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pytest
import soxr
import synth
from jaxtyping import Float32

from service.audio import decoding as audio
from service.audio import errors
from service.audio.decoding import Audio, AudioLimits, decode, open_audio, resample

# Rounding of the streaming resampler, compared with resampling the whole clip at once.
RESAMPLING_TOLERANCE = 1e-6

RIFF_RATE_OFFSET = 24


def _decode(data: bytes, *, limits: AudioLimits | None = None, sample_rate: int = 16_000) -> Audio:
    return decode(io.BytesIO(data), sample_rate=sample_rate, limits=limits)


def _float_wav(samples: np.ndarray, subtype: str = "FLOAT") -> bytes:
    return synth.encode(samples, form="WAV", subtype=subtype)


def _correlation(a: Float32[np.ndarray, " samples"], b: Float32[np.ndarray, " samples"]) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


class TestFormats:
    @pytest.mark.parametrize(
        ("form", "subtype", "step"),
        [
            ("WAV", "PCM_U8", 2**-7),
            ("WAV", "PCM_16", 2**-15),
            ("WAV", "PCM_24", 2**-23),
            ("WAV", "PCM_32", 2**-24),
            ("WAV", "FLOAT", 0),
            ("WAV", "DOUBLE", 0),
            ("WAVEX", "PCM_16", 2**-15),
            ("RF64", "PCM_16", 2**-15),
            ("W64", "PCM_16", 2**-15),
            ("AIFF", "PCM_16", 2**-15),
            ("AU", "PCM_16", 2**-15),
            ("CAF", "PCM_16", 2**-15),
            ("CAF", "ALAC_16", 2**-15),
            ("FLAC", "PCM_16", 2**-15),
            ("FLAC", "PCM_24", 2**-23),
        ],
    )
    def test_lossless_formats_give_the_samples_back(
        self, form: str, subtype: str, step: float
    ) -> None:
        samples = synth.chirp(100, 4000)
        decoded = _decode(synth.encode(samples, form=form, subtype=subtype))
        np.testing.assert_allclose(decoded.samples, samples, atol=step)

    @pytest.mark.parametrize(
        ("form", "subtype", "correlation"),
        [
            ("WAV", "ULAW", 0.999),
            ("WAV", "MS_ADPCM", 0.99),
            ("WAV", "IMA_ADPCM", 0.99),
            ("OGG", "VORBIS", 0.99),
            ("OGG", "OPUS", 0.99),
            ("MP3", "MPEG_LAYER_III", 0.99),
        ],
    )
    def test_lossy_formats_are_similar_and_aligned(
        self, form: str, subtype: str, correlation: float
    ) -> None:
        samples = synth.chirp(100, 4000)
        decoded = _decode(synth.encode(samples, form=form, subtype=subtype)).samples
        assert _correlation(decoded[: samples.size], samples) > correlation

    @pytest.mark.parametrize(
        ("form", "subtype"),
        [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)],
    )
    @pytest.mark.parametrize("n_samples", [1, 2, 100, 1151, 1152, 4097, 70_000])
    def test_files_of_any_length_decode_whole(
        self, form: str, subtype: str | None, n_samples: int
    ) -> None:
        data = synth.encode(np.full(n_samples, 0.25), form=form, subtype=subtype)
        decoded = _decode(data)
        assert decoded.samples.shape == (n_samples,)
        assert decoded.duration_s == n_samples / 16_000

    @pytest.mark.parametrize(
        ("name", "media_type"),
        [
            ("a.wav", "audio/wav"),
            ("a.flac", "audio/flac"),
            ("a.ogg", "audio/ogg"),
            ("a.opus", "audio/ogg"),
            ("a.mp3", "audio/mpeg"),
        ],
    )
    def test_a_path_is_decoded_by_its_content(
        self, tmp_path: Path, name: str, media_type: str
    ) -> None:
        path = synth.write(tmp_path / name, synth.tone(440))
        assert decode(path, sample_rate=16_000).media_type == media_type
        assert path.suffix in audio.AUDIO_SUFFIXES
        for other in ("b.txt", "c.raw", "d"):
            path = path.rename(tmp_path / other)
            assert decode(path, sample_rate=16_000).media_type == media_type

    def test_a_flac_that_states_no_length_is_read_to_its_end(self) -> None:
        data = bytearray(synth.encode(synth.noise(0, 5), form="FLAC"))
        data[21] &= 0xF0
        data[22:26] = bytes(4)
        assert _decode(bytes(data)).samples.size == 80_000

    def test_a_wav_written_to_a_pipe_is_read_to_its_end(self) -> None:
        data = bytearray(synth.encode(synth.noise(0), form="WAV"))
        data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
        assert _decode(bytes(data)).samples.size == 16_000

    def test_a_spooled_upload_decodes(self) -> None:
        with tempfile.SpooledTemporaryFile(max_size=100) as file:
            file.write(synth.encode(synth.tone(440), form="FLAC"))
            assert decode(cast(BinaryIO, file), sample_rate=16_000).samples.size == 16_000

    def test_the_format_of_the_source_is_reported(self) -> None:
        stereo = np.stack([synth.tone(440, 2, sample_rate=44_100)] * 2, axis=1)
        decoded = _decode(synth.encode(stereo, sample_rate=44_100, form="FLAC"))
        assert decoded.duration_s == 2.0
        assert decoded.source_rate_hz == 44_100
        assert decoded.source_channels == 2
        assert decoded.media_type == "audio/flac"
        assert decoded.samples.dtype == np.float32


class TestMixdownAndResampling:
    @pytest.mark.parametrize("channels", range(1, 9))
    def test_channels_are_averaged(self, channels: int) -> None:
        samples = np.stack([synth.noise(seed) for seed in range(channels)], axis=1)
        decoded = _decode(_float_wav(samples))
        np.testing.assert_allclose(decoded.samples, samples.mean(axis=1), atol=1e-6)

    def test_a_source_at_the_rate_asked_for_is_untouched(self) -> None:
        samples = synth.noise(0, 5)
        assert np.array_equal(_decode(_float_wav(samples)).samples, samples)

    @pytest.mark.parametrize(
        "rate", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 384_000]
    )
    @pytest.mark.parametrize("n_samples", [100, 262_144, 262_145, 600_001])
    def test_streaming_equals_resampling_at_once(self, rate: int, n_samples: int) -> None:
        samples = synth.noise(0, n_samples / rate, sample_rate=rate)
        decoded = _decode(synth.encode(samples, sample_rate=rate, form="WAV", subtype="FLOAT"))
        at_once = soxr.resample(samples, rate, 16_000, quality=audio.RESAMPLER_QUALITY)
        np.testing.assert_allclose(decoded.samples, at_once, atol=RESAMPLING_TOLERANCE)
        assert decoded.samples.size == round(n_samples * 16_000 / rate)

    @pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
    def test_a_resampled_tone_is_the_tone_at_the_new_rate_without_delay(self, rate: int) -> None:
        samples = synth.tone(440, 2, sample_rate=rate)
        decoded = _decode(synth.encode(samples, sample_rate=rate, form="WAV", subtype="FLOAT"))
        inner = slice(800, -800)  # the ends ring, as the tone starts and stops there
        np.testing.assert_allclose(decoded.samples[inner], synth.tone(440, 2)[inner], atol=1e-4)

    def test_frequencies_above_half_the_new_rate_vanish(self) -> None:
        samples = synth.tone(10_000, 1, sample_rate=48_000)
        decoded = _decode(synth.encode(samples, sample_rate=48_000, form="WAV", subtype="FLOAT"))
        assert np.abs(decoded.samples[800:-800]).max() < 1e-4

    @pytest.mark.parametrize("n_samples", [1, 2, 11])
    def test_a_clip_too_short_for_one_sample_still_makes_one(self, n_samples: int) -> None:
        data = synth.encode(np.full(n_samples, 0.5), sample_rate=384_000, form="WAV")
        np.testing.assert_allclose(_decode(data).samples, [0.5], atol=1e-4)


class TestBadContent:
    def test_an_empty_file(self) -> None:
        with pytest.raises(errors.FileEmptyError):
            _decode(b"")

    @pytest.mark.parametrize(
        "data", [b"plain text", b"RIFF\x24\0\0\0WAVEfmt nonsense", b"fLaC", b"OggS"]
    )
    def test_bytes_that_are_no_audio(self, data: bytes) -> None:
        with pytest.raises(errors.AudioUndecodableError):
            _decode(data)

    def test_a_missing_path_is_an_os_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            decode(tmp_path / "missing.wav", sample_rate=16_000)

    @pytest.mark.parametrize("form", ["WAV", "AIFF", "FLAC"])
    @pytest.mark.parametrize("share", [0.95, 0.5, 0.1])
    def test_fewer_frames_than_declared(self, form: str, share: float) -> None:
        data = synth.encode(synth.noise(0, 4), form=form, subtype="PCM_16")
        with pytest.raises(errors.AudioTruncatedError):
            _decode(data[: int(len(data) * share)])

    @pytest.mark.parametrize("rate", [1, 100, 3_999, 384_001, 2_000_000])
    def test_sample_rates_out_of_range(self, rate: int) -> None:
        data = bytearray(synth.encode(synth.tone(440), form="WAV"))
        data[RIFF_RATE_OFFSET : RIFF_RATE_OFFSET + 4] = struct.pack("<I", rate)
        with pytest.raises(
            errors.SampleRateUnsupportedError, match=f"{rate} Hz; 4000 to 384000 Hz"
        ):
            _decode(bytes(data))

    @pytest.mark.parametrize("channels", [9, 1_024])
    def test_too_many_channels(self, channels: int) -> None:
        data = synth.encode(np.zeros((10, channels)), form="WAV")
        with pytest.raises(errors.ChannelsUnsupportedError, match=f"{channels} channels; 1 to 8"):
            _decode(data)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, 1e300, -1001.0])
    @pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
    def test_a_sample_that_is_not_finite(self, value: float, subtype: str) -> None:
        samples = np.zeros((80_000, 2))
        samples[79_000, 1] = value
        with pytest.raises(errors.AudioNotFiniteError, match="finite and within 1000"):
            _decode(_float_wav(samples, subtype))

    @pytest.mark.parametrize(("form", "subtype"), [("WAV", "PCM_16"), ("OGG", "VORBIS")])
    def test_a_valid_file_without_samples(self, form: str, subtype: str) -> None:
        with pytest.raises(errors.AudioEmptyError):
            _decode(synth.encode(np.zeros(0), form=form, subtype=subtype))

    def test_digital_silence_is_allowed(self) -> None:
        assert not _decode(_float_wav(synth.silence())).samples.any()


class TestLimits:
    def test_the_longest_clip_is_allowed_and_one_frame_more_is_not(self) -> None:
        limits = AudioLimits(max_seconds=2.0)
        assert _decode(_float_wav(synth.silence(2)), limits=limits).duration_s == 2.0
        with pytest.raises(errors.AudioTooLongError, match="longer than 2 s"):
            _decode(_float_wav(np.zeros(32_001)), limits=limits)

    def test_a_small_file_that_expands_stops_at_the_limit(self) -> None:
        """Decoding ends at the limit, long before the minutes that the file holds."""
        data = synth.encode(synth.silence(600), form="FLAC")
        assert len(data) < 100_000
        with pytest.raises(errors.AudioTooLongError):
            _decode(data, limits=AudioLimits(max_seconds=5))

    def test_samples_count_after_resampling(self) -> None:
        data = synth.encode(synth.silence(1, sample_rate=8_000), sample_rate=8_000, form="WAV")
        assert _decode(data, limits=AudioLimits(max_samples=16_000)).samples.size == 16_000
        with pytest.raises(errors.SamplesTooManyError, match="more than 15999 samples at 16000 Hz"):
            _decode(data, limits=AudioLimits(max_samples=15_999))

    def test_a_header_cannot_reserve_memory(self) -> None:
        """A FLAC that claims 68 billion frames costs no more than the second it holds."""
        data = bytearray(synth.encode(synth.silence(), form="FLAC"))
        data[21] |= 0x0F
        data[22:26] = b"\xff\xff\xff\xff"
        with pytest.raises(errors.AudioTruncatedError):
            _decode(bytes(data))


def test_aac_without_its_extra_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "service.audio.ffmpeg", None)
    with pytest.raises(errors.MediaUnsupportedError, match="extra `aac`"):
        _decode(b"\x00\x00\x00\x10ftypM4A \x00\x00\x00\x00")


class TestReading:
    def test_a_clip_over_its_limit_is_given_up_while_it_is_read(self) -> None:
        content = synth.encode(synth.noise(0, 60.0))
        read = []

        with open_audio(
            io.BytesIO(content), sample_rate=16_000, limits=AudioLimits(max_seconds=10)
        ) as reader:
            blocks = reader.blocks()
            with pytest.raises(errors.AudioTooLongError):
                read.extend(block.size for block in blocks)

        assert reader.n_samples <= 10 * 16_000


def test_resampling_gives_what_decoding_gives(tmp_path: Path) -> None:
    chirp = synth.chirp(200, 3000, 0.7, sample_rate=44_100)
    path = synth.write(tmp_path / "chirp.wav", chirp, sample_rate=44_100, subtype="FLOAT")
    assert np.array_equal(resample(chirp, 44_100, 16_000), decode(path, sample_rate=16_000).samples)
    assert np.array_equal(resample(chirp, 16_000, 16_000), chirp)
