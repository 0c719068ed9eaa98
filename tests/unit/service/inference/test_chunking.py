from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
import synth

from service.audio.decoder import decode_blocks
from service.audio.decoding import AudioLimits, decode
from service.audio.levels import InputReading
from service.bundle.manifest import EncoderInfo
from service.clips import AudioInfo
from service.concurrency.deadline import Deadline
from service.inference.chunking import CHUNK_S, Chunk, Chunker, split_chunks

PARTIAL = 3200
CHUNK = int(CHUNK_S * 16_000)


def ramp(n_samples: int) -> np.ndarray:
    """Make samples whose value is their position."""
    return np.arange(n_samples, dtype=np.float32)


def split(info: EncoderInfo, n_samples: int, block: int) -> list[Chunk]:
    samples = ramp(n_samples)
    blocks = (samples[start : start + block] for start in range(0, n_samples, block))
    return list(Chunker(info).split(blocks))


@pytest.mark.parametrize("n_samples", [1, 480, 16_000, CHUNK - 1, CHUNK])
def test_a_short_clip_is_one_chunk(info: EncoderInfo, n_samples: int) -> None:
    (chunk,) = split(info, n_samples, block=5000)

    assert chunk.is_whole
    assert chunk.end == n_samples
    assert np.array_equal(chunk.samples, ramp(n_samples))
    n_partials = info.count_partials(n_samples)
    assert chunk.valid.indices(n_partials) == (0, n_partials, 1)


@pytest.mark.parametrize(
    "n_samples",
    [CHUNK + 1, CHUNK + PARTIAL, CHUNK + PARTIAL + 1, 2 * CHUNK, 2 * CHUNK + 479, 5 * CHUNK + 9000],
)
@pytest.mark.parametrize("block", [999, 65_536, 10_000_000])
def test_the_chunks_of_a_long_clip_cover_it_once_with_context(
    info: EncoderInfo, n_samples: int, block: int
) -> None:
    chunks = split(info, n_samples, block)

    first = 0
    for chunk in chunks:
        start = (first - chunk.valid.start) * PARTIAL
        end = start + chunk.samples.size
        assert chunk.valid.start == (1 if first else 0)
        assert np.array_equal(chunk.samples, start + ramp(chunk.samples.size))
        assert chunk.samples.size <= CHUNK + 2 * PARTIAL
        assert chunk.end == end
        first += chunk.valid.stop - chunk.valid.start
        if first < info.count_partials(n_samples):
            assert end in (first * PARTIAL + PARTIAL, n_samples)
    assert first == info.count_partials(n_samples)
    assert chunks[-1].samples[-1] == n_samples - 1


def test_a_chunk_is_yielded_before_the_clip_has_ended(info: EncoderInfo) -> None:
    n_read = 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal n_read
        for _ in range(100):
            n_read += 1
            yield np.zeros(16_000, np.float32)

    next(iter(Chunker(info).split(blocks())))

    assert n_read == CHUNK_S + 1


def test_only_one_chunk_is_held_in_memory(info: EncoderInfo) -> None:
    chunker = Chunker(info)
    chunks = chunker.split(np.zeros(16_000, np.float32) for _ in range(200))
    held = [sum(block.nbytes for block in chunker._buffer) for _ in chunks]

    assert max(held) <= 4 * (CHUNK + 16_000 + 2 * PARTIAL)
    assert chunker.n_samples == 200 * 16_000


@pytest.mark.parametrize("duration_s", [0.5, 15.0, 15.1, 47.3])
def test_a_file_is_described_with_its_last_chunk(info: EncoderInfo, duration_s: float) -> None:
    content = synth.encode(synth.noise(0, duration_s, sample_rate=8_000), sample_rate=8_000)
    whole = decode(io.BytesIO(content), sample_rate=16_000)

    blocks = decode_blocks(
        io.BytesIO(content), sample_rate=16_000, limits=AudioLimits(), deadline=Deadline()
    )
    pairs = list(split_chunks(blocks, info, hashed=True))

    *others, (chunk, file) = pairs
    assert [described for _, described in others] == [None] * len(others)
    assert file is not None
    assert file.info == AudioInfo("audio/wav", duration_s, 8_000, 1)
    assert chunk.end == file.n_samples == whole.samples.size
    assert file.mean_square == pytest.approx(np.square(whole.samples).mean(), rel=1e-4)
    assert isinstance(file.reading, InputReading)
    assert file.reading.duration_s == duration_s
