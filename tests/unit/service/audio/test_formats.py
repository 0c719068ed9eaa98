from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import synth

from service.audio import formats
from service.audio.decoding import decode
from service.audio.errors import (
    AudioTruncatedError,
    AudioUndecodableError,
    MediaUnsupportedError,
)
from service.audio.formats import missing_bytes, sniff


@pytest.mark.parametrize(
    ("head", "decoder"),
    [
        (b"ID3\x04\x00\x00\x00\x00\x00\x00", "soundfile"),
        (b"\xff\xfb\x90\x64", "soundfile"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"\x00\x00\x00\x1cftypM4A ", "mp4"),
    ],
)
def test_first_bytes_choose_the_decoder(head: bytes, decoder: str) -> None:
    assert sniff(io.BytesIO(head)) == decoder


def test_sniffing_returns_to_the_start() -> None:
    source = io.BytesIO(b"fLaC" + bytes(100))
    source.seek(50)
    sniff(source)
    assert source.tell() == 0


@pytest.mark.parametrize("head", [b"\x1a\x45\xdf\xa3\x9f", b"#!AMR\n", b"MThd", b"wvpk"])
def test_known_formats_that_are_not_supported_are_named(head: bytes) -> None:
    with pytest.raises(MediaUnsupportedError, match="send wav, flac"):
        sniff(io.BytesIO(head))


@pytest.mark.parametrize(
    "head", [b"hello world", b"\0" * 64, b"\xff", b"RIFF\0\0\0\0AVI ", b"%PDF-1.7"]
)
def test_other_content_is_undecodable(head: bytes) -> None:
    with pytest.raises(AudioUndecodableError):
        sniff(io.BytesIO(head))


@pytest.mark.parametrize("form", ["WAV", "AIFF"])
@pytest.mark.parametrize("n_samples", [0, 1, 2, 7, 1000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "ULAW"])
def test_a_complete_file_misses_no_bytes(form: str, n_samples: int, subtype: str) -> None:
    data = synth.encode(np.zeros(n_samples), form=form, subtype=subtype)
    assert missing_bytes(io.BytesIO(data)) == 0


@pytest.mark.parametrize("form", ["WAV", "AIFF"])
@pytest.mark.parametrize("lost", [2, 3, 100, 1999])
def test_bytes_that_were_cut_off_are_counted(form: str, lost: int) -> None:
    data = synth.encode(np.zeros(1000), form=form, subtype="PCM_16")
    assert missing_bytes(io.BytesIO(data[:-lost])) == lost


def test_the_padding_of_an_odd_chunk_may_be_missing() -> None:
    data = synth.encode(np.zeros(7), form="WAV", subtype="PCM_U8")
    assert len(data) % 2 == 0
    assert missing_bytes(io.BytesIO(data[:-1])) == 0


@pytest.mark.parametrize("size", [0x7FFF_F000, 0x8000_0000, 0xFFFF_FFFF])
def test_sizes_left_by_writers_to_a_pipe_mean_unknown(size: int) -> None:
    data = synth.encode(np.zeros(100), form="WAV", subtype="PCM_16")
    start = data.index(b"data") + 4
    data = data[:start] + struct.pack("<I", size) + data[start + 4 :]
    assert missing_bytes(io.BytesIO(data)) == 0


def test_an_mp4_box_that_runs_past_the_end_is_cut_off() -> None:
    whole = struct.pack(">I4s8x", 16, b"ftyp") + struct.pack(">I4s", 100, b"mdat") + bytes(92)
    large = struct.pack(">I4s8x", 16, b"ftyp") + struct.pack(">I4sQ", 1, b"mdat", 100) + bytes(84)
    open_ended = struct.pack(">I4s8x", 16, b"ftyp") + struct.pack(">I4s", 0, b"mdat") + bytes(30)
    assert missing_bytes(io.BytesIO(whole)) == 0
    assert missing_bytes(io.BytesIO(whole[:-10])) == 10
    assert missing_bytes(io.BytesIO(large)) == 0
    assert missing_bytes(io.BytesIO(large[:-10])) == 10
    assert missing_bytes(io.BytesIO(open_ended)) == 0


def test_formats_that_declare_no_size_miss_no_bytes() -> None:
    data = synth.encode(synth.noise(0), form="FLAC")
    assert missing_bytes(io.BytesIO(data[:-100])) == 0


SIZES = {
    "AU": (b".snd", 8, ">I"),
    "CAF": (b"data", 4, ">q"),
    "RF64": (b"ds64", 16, "<q"),
    "W64": (b"data", 16, "<q"),
}
"""Of formats by their names in libsndfile: the chunk with the size of the data, where and how."""


def with_size(form: str, size: int, *, relative: bool = False, subtype: str = "PCM_16") -> bytes:
    """Make a file that declares another size of its data; `relative` to the true one."""
    data = bytearray(synth.encode(synth.noise(0, 0.5), form=form, subtype=subtype))
    name, offset, layout = SIZES[form]
    position = data.index(name) + offset
    (true,) = struct.unpack_from(layout, data, position)
    struct.pack_into(layout, data, position, true + size if relative else size)
    return bytes(data)


@pytest.mark.parametrize("form", SIZES)
def test_a_declared_size_beyond_the_end_is_cut_off(form: str) -> None:
    assert missing_bytes(io.BytesIO(with_size(form, 0, relative=True))) == 0
    # The file ends with the padding of its last chunk, of up to 7 bytes.
    assert 93 <= missing_bytes(io.BytesIO(with_size(form, 100, relative=True))) <= 100
    with pytest.raises(AudioTruncatedError):
        decode(io.BytesIO(with_size(form, 100, relative=True)), sample_rate=16_000)


@pytest.mark.parametrize("size", [-1, -24, -12_345, -(2**40), -(2**63)])
@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        *(("W64", "GSM610"), ("W64", "PCM_16"), ("W64", "IMA_ADPCM")),
        *(("RF64", "PCM_16"), ("CAF", "PCM_16"), ("CAF", "ALAC_16")),
    ],
)
def test_a_negative_size_is_refused_before_anything_is_decoded(
    form: str, subtype: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.audio.decoding.SoundFileStream", None)  # is not reached
    with pytest.raises(AudioUndecodableError, match="negative size"):
        decode(io.BytesIO(with_size(form, size, subtype=subtype)), sample_rate=16_000)


@pytest.mark.parametrize("size", [0, 1, 23])
def test_a_w64_chunk_is_at_least_as_large_as_its_header(size: int) -> None:
    with pytest.raises(AudioUndecodableError, match="negative size"):
        missing_bytes(io.BytesIO(with_size("W64", size, subtype="GSM610")))


@pytest.mark.parametrize(("form", "size"), [("W64", 2**63 - 1), ("RF64", 2**62), ("AU", 2**32 - 1)])
def test_an_unknown_size_means_to_the_end(form: str, size: int) -> None:
    data = with_size(form, size)
    assert missing_bytes(io.BytesIO(data)) == 0
    assert decode(io.BytesIO(data), sample_rate=16_000).samples.size == 8_000


def test_a_file_of_empty_chunks_is_walked_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_MAX_CHUNKS", 1000)
    data = synth.encode(synth.noise(0, 0.5))
    source = CountingFile(data[:12] + 5000 * b"junk\0\0\0\0" + data[12:-100])
    assert missing_bytes(source) == 0
    assert source.n_reads <= 1010


class CountingFile(io.BytesIO):
    """A file that counts how often it is read."""

    n_reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.n_reads += 1
        return super().read(size)
