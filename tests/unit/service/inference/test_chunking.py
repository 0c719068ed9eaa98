from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.bundle.files import load_bundle
from service.bundle.manifest import EncoderInfo
from service.inference.chunking import CHUNK_S, Chunk, Chunker

PARTIAL = 3200
PIECE = int(CHUNK_S * 16_000)


@pytest.fixture(scope="module")
def info(tiny_bundle_path: Path) -> EncoderInfo:
    return load_bundle(tiny_bundle_path).manifest.encoder


def ramp(n_samples: int) -> np.ndarray:
    """Make samples that tell where they were."""
    return np.arange(n_samples, dtype=np.float32)


def cut(info: EncoderInfo, n_samples: int, block: int) -> list[Chunk]:
    samples = ramp(n_samples)
    blocks = (samples[start : start + block] for start in range(0, n_samples, block))
    return list(Chunker(info).cut(blocks))


@pytest.mark.parametrize("n_samples", [1, 480, 16_000, PIECE - 1, PIECE])
def test_a_short_clip_is_one_piece(info: EncoderInfo, n_samples: int) -> None:
    (piece,) = cut(info, n_samples, block=5000)

    assert piece.is_whole
    assert np.array_equal(piece.samples, ramp(n_samples))
    assert piece.valid == slice(0, info.count_partials(n_samples))


@pytest.mark.parametrize(
    "n_samples",
    [PIECE + 1, PIECE + PARTIAL, PIECE + PARTIAL + 1, 2 * PIECE, 2 * PIECE + 479, 5 * PIECE + 9000],
)
@pytest.mark.parametrize("block", [999, 65_536, 10_000_000])
def test_the_pieces_of_a_long_clip_cover_it_once_with_context(
    info: EncoderInfo, n_samples: int, block: int
) -> None:
    pieces = cut(info, n_samples, block)

    first = 0
    for piece in pieces:
        n_kept = piece.valid.stop - piece.valid.start
        start = (first - piece.valid.start) * PARTIAL
        assert piece.samples[0] == start
        assert piece.valid.start == (1 if first else 0)
        assert np.array_equal(piece.samples, start + ramp(piece.samples.size))
        assert piece.samples.size <= PIECE + 2 * PARTIAL
        first += n_kept
        if first < info.count_partials(n_samples):
            heard_beyond = start + piece.samples.size - first * PARTIAL
            assert heard_beyond == PARTIAL or start + piece.samples.size == n_samples
    assert first == info.count_partials(n_samples)
    assert pieces[-1].samples[-1] == n_samples - 1


def test_a_piece_is_given_before_the_clip_has_ended(info: EncoderInfo) -> None:
    taken = []

    def blocks() -> object:
        for n in range(100):
            taken.append(n)
            yield np.zeros(16_000, np.float32)

    next(iter(Chunker(info).cut(blocks())))  # type: ignore[arg-type]  # a generator is iterable

    assert len(taken) == CHUNK_S + 1


def test_no_more_is_held_than_a_piece(info: EncoderInfo) -> None:
    cutter = Chunker(info)
    pieces = cutter.cut(np.zeros(16_000, np.float32) for _ in range(200))
    held = [sum(block.nbytes for block in cutter._gathered) for _ in pieces]

    assert max(held) <= 4 * (PIECE + 16_000 + 2 * PARTIAL)
    assert cutter.n_samples == 200 * 16_000
