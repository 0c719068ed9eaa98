"""Decoding in processes gives the bits and the errors of threads."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

import decoder_corpus
import numpy as np
import pytest
import synth
from pool_control import LIMITS, WAV, idle, outcome, run

from service.audio.decoder import decode_blocks, decode_whole
from service.audio.decoder_child import readable_descriptor
from service.audio.decoder_pool import DecoderPool
from service.audio.decoding import AudioLimits
from service.audio.errors import (
    SamplesTooManyError,
)
from service.concurrency.deadline import Deadline

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


@pytest.mark.parametrize("name", decoder_corpus.names())
def test_every_format_gives_the_bits_of_a_thread(pool: DecoderPool, name: str) -> None:
    data = decoder_corpus.make(name)
    blocks, _ = found = outcome(pool, data)
    assert found == outcome(decode_blocks, data)
    assert sum(map(len, blocks)) > 10_000


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("name", ["WAV-PCM_16", "FLAC-PCM_24", "OGG-VORBIS"])
def test_long_files_give_the_blocks_of_a_thread(pool: DecoderPool, name: str, rate: int) -> None:
    data = decoder_corpus.make(name, 20.0, rate)
    blocks, _ = found = outcome(pool, data)
    assert found == outcome(decode_blocks, data)
    assert len(blocks) >= 2


def test_faulty_files_give_the_errors_of_a_thread(pool: DecoderPool) -> None:
    generator = np.random.default_rng(0)
    faulty = [b"", b"x", b"RIFF", WAV[:40], WAV[:-100], synth.encode(np.zeros(0)), b"\xff\xfb" * 99]
    faulty.append(synth.encode(np.full(100, np.nan), subtype="FLOAT"))
    faulty.append(synth.encode(np.zeros((100, 9))))
    faulty.append(synth.encode(np.zeros(100), sample_rate=3999))
    faulty += [
        data[: generator.integers(1, len(data))] + generator.bytes(200)
        for data in map(decoder_corpus.make, decoder_corpus.names()[::2])
    ]
    found = [outcome(pool, data) for data in faulty]
    assert found == [outcome(decode_blocks, data) for data in faulty]
    assert len({kind for kind, _ in found if isinstance(kind, type)}) >= 6


@pytest.mark.parametrize("limits", [AudioLimits(0.4, 10**6), AudioLimits(60, 7_999)])
def test_limits_apply(pool: DecoderPool, limits: AudioLimits) -> None:
    found = outcome(pool, WAV, limits)
    assert found == outcome(decode_blocks, WAV, limits)
    assert isinstance(found[0], type)


def test_a_file_on_a_disk_is_read_by_its_descriptor_and_not_moved(pool: DecoderPool) -> None:
    expected = outcome(decode_blocks, WAV)[0]
    with tempfile.TemporaryFile() as file:
        file.write(WAV)
        blocks, _ = run(pool, cast(BinaryIO, file))
        assert [block.tobytes() for block in blocks] == expected
        assert file.tell() == 0
        assert file.read() == WAV
    with tempfile.SpooledTemporaryFile(max_size=10**6) as upload:
        upload.write(WAV)
        blocks, _ = run(pool, cast(BinaryIO, upload))
        assert [block.tobytes() for block in blocks] == expected
        assert not upload._rolled  # it is not written to a disk for its descriptor


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_decoder_gets_a_descriptor_that_it_cannot_write(tmp_path: Path, in_memory: bool) -> None:
    path = tmp_path / "upload"
    path.write_bytes(WAV)
    with path.open("r+b") as file:
        source = io.BytesIO(WAV) if in_memory else file
        with readable_descriptor(source) as descriptor:
            assert os.pread(descriptor, 10**6, 0) == WAV
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.write(descriptor, b"x")


def test_samples_of_all_blocks_count(pool: DecoderPool) -> None:
    data = decoder_corpus.make("WAV-PCM_16", 20.0)
    with pytest.raises(SamplesTooManyError):
        run(pool, data, limits=AudioLimits(60, 300_000))


def test_a_whole_file_is_joined(pool: DecoderPool) -> None:
    data = decoder_corpus.make("WAV-PCM_16", 20.0)
    samples, source = decode_whole(
        pool, io.BytesIO(data), sample_rate=16_000, limits=LIMITS, deadline=Deadline()
    )
    assert samples.size == 20 * 16_000
    assert source.duration_s == 20


def test_many_files_are_open_at_once_and_few_decoders_are_kept(pool: DecoderPool) -> None:
    data = decoder_corpus.make("WAV-PCM_16", 20.0)
    opened = [
        pool(io.BytesIO(data), sample_rate=16_000, limits=LIMITS, deadline=Deadline())
        for _ in range(6)
    ]
    blocks = [[next(each)] for each in opened]
    for found, each in zip(blocks, opened, strict=True):
        found += list(each)
    expected, _ = outcome(decode_blocks, data)
    assert all([block.tobytes() for block in found] == expected for found in blocks)
    assert len(idle(pool)) == 2


def test_threads_share_the_pool(pool: DecoderPool) -> None:
    files = [decoder_corpus.make(name) for name in decoder_corpus.names()[::6]]
    expected = [outcome(decode_blocks, data) for data in files]
    with ThreadPoolExecutor(6) as threads:
        for _ in range(3):
            assert list(threads.map(lambda data: outcome(pool, data), files)) == expected
