from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.bundle.files import load_bundle
from service.bundle.manifest import EncoderInfo
from service.clips import AudioInfo
from service.inference.file_embedding import ENTRY_BYTES, FileEmbedding
from service.inference.pooling import Windowing, WindowPool

FLAC = AudioInfo(media_type="audio/flac")
WAV = AudioInfo(media_type="audio/wav")


@pytest.fixture(scope="module")
def info(tiny_bundle_path: Path) -> EncoderInfo:
    return load_bundle(tiny_bundle_path).manifest.encoder


def cut(take: FileEmbedding, n_samples: int) -> list[slice]:
    return [piece.valid for piece in take.cutter.cut([np.zeros(n_samples, np.float32)])]


def test_one_piece_is_its_embedding(info: EncoderInfo) -> None:
    take = FileEmbedding(("f", "a", None), info)
    cut(take, 16_000)
    take.add_embedding((np.full(8, 3, np.float32),))
    take.end(WAV, b"digest")

    embedded = take.finish()

    assert embedded.embedding.tolist() == [3] * 8
    assert (embedded.n_samples, embedded.samples_digest, embedded.info) == (16_000, b"digest", WAV)
    assert embedded.size_bytes == ENTRY_BYTES + 32


def test_an_embedding_does_not_keep_the_batch_it_came_in(info: EncoderInfo) -> None:
    take = FileEmbedding(("f", "a", None), info)
    cut(take, 16_000)
    take.add_embedding((np.zeros((100, 8), np.float32)[7],))
    take.end(WAV, b"digest")

    assert take.finish().embedding.base is None


def test_partials_of_the_context_are_left_out(info: EncoderInfo) -> None:
    n_samples = 400_000
    take = FileEmbedding(("f", "a", None), info)
    for kept in cut(take, n_samples):
        sums = np.full((kept.stop + 1, 8), 100, np.float32)
        sums[kept] = 1
        take.add_partials(kept, (sums, sums))
    take.end(WAV, b"digest")

    n_partials, n_frames = info.count_partials(n_samples), info.count_frames(n_samples)
    np.testing.assert_allclose(take.finish().embedding, n_partials / n_frames + 1, rtol=1e-6)


def test_windows_are_pooled_beside_the_whole(info: EncoderInfo) -> None:
    windowing = Windowing(0.4, 0.4)
    windows = WindowPool(info, windowing, max_windows=10)
    take = FileEmbedding(("f", "a", windowing), info, windows)
    (kept,) = cut(take, 16_000)
    take.add_partials(kept, (np.ones((5, 8), np.float32),) * 2)
    take.end(WAV, b"digest")

    embedded = take.finish()

    assert embedded.windows is not None
    assert embedded.windows.embeddings.shape == (3, 8)
    assert embedded.size_bytes == ENTRY_BYTES + 4 * 32


def test_a_file_may_share_the_embedding_of_another_but_tells_of_itself(info: EncoderInfo) -> None:
    first, second = FileEmbedding(("f", "a", None), info), FileEmbedding(("f", "b", None), info)
    cut(first, 16_000)
    first.add_embedding((np.full(8, 3, np.float32),))
    first.end(WAV, b"digest")
    second.end(FLAC, b"digest")
    second.same = first

    assert second.finish().embedding is first.finish().embedding
    assert second.finish().info == FLAC
