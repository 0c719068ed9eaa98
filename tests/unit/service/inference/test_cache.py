from __future__ import annotations

import hashlib
import io
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.bundle.manifest import EncoderInfo
from service.clips import AudioInfo, Windows
from service.inference.cache import EmbeddingCache, content_digest
from service.inference.file_embedding import Embedded
from service.inference.pooling import Windowing

DIM = 256
CUT = Windowing(1.0, 1.0)
NOT_CUT = Windowing(60.0, 30.0, beyond_s=60.0)


def entry(value: float = 0, *, n_windows: int = 0) -> Embedded:
    embedding = np.full(DIM, value, np.float32)
    windows = None
    if n_windows:
        rows, times = np.zeros((n_windows, DIM), np.float32), np.zeros(n_windows)
        windows = Windows(embedding, rows, times, times)
    return Embedded(AudioInfo(), 1, b"", 0.0, embedding, windows)


SIZE = entry().size_bytes


def test_a_file_is_found_by_its_content_and_its_encoder(info: EncoderInfo) -> None:
    cache = EmbeddingCache(10 * SIZE)
    cache.put(info, "a", None, entry(7))
    other = info.model_copy(update={"fingerprint": "f" * 64})

    found = cache.get(info, "a", None)

    assert found is not None
    assert found.embedding[0] == 7
    assert cache.get(info, "b", None) is None
    assert cache.get(other, "a", None) is None


def test_a_file_is_found_with_its_windows_and_without(info: EncoderInfo) -> None:
    cache = EmbeddingCache(100 * SIZE)
    cache.put(info, "a", CUT, entry(n_windows=3))

    with_windows, without = cache.get(info, "a", CUT), cache.get(info, "a", None)

    assert with_windows is not None
    assert with_windows.windows is not None
    assert without is not None
    assert without.windows is None
    assert cache.get(info, "a", Windowing(2.0, 2.0)) is None


@pytest.mark.parametrize("windowing", [None, CUT, NOT_CUT])
def test_each_lookup_of_a_file_counts_once(info: EncoderInfo, windowing: Windowing | None) -> None:
    lookups: list[bool] = []
    cache = EmbeddingCache(100 * SIZE, on_lookup=lookups.append)

    cache.get(info, "a", windowing)
    cache.put(info, "a", windowing, entry(n_windows=2 if windowing == CUT else 0))
    cache.get(info, "a", windowing)

    assert lookups == [False, True]


def test_lookups_do_not_count_while_it_is_off(info: EncoderInfo) -> None:
    lookups: list[bool] = []
    cache = EmbeddingCache(0, on_lookup=lookups.append)
    cache.put(info, "a", None, entry())

    assert cache.get(info, "a", None) is None
    assert lookups == []


def test_the_least_recently_used_entry_is_removed_first(info: EncoderInfo) -> None:
    cache = EmbeddingCache(2 * SIZE)
    cache.put(info, "a", None, entry())
    cache.put(info, "b", None, entry())
    cache.get(info, "a", None)

    cache.put(info, "c", None, entry())

    assert cache.get(info, "b", None) is None
    assert cache.get(info, "a", None) is not None
    assert cache.get(info, "c", None) is not None


def test_a_second_entry_of_a_file_replaces_the_first(info: EncoderInfo) -> None:
    cache = EmbeddingCache(10 * SIZE)
    cache.put(info, "a", None, entry(1))
    cache.put(info, "a", None, entry(2))

    found = cache.get(info, "a", None)
    assert found is not None
    assert found.embedding[0] == 2
    assert cache.size_bytes == SIZE


def test_its_size_is_bounded_with_several_threads(info: EncoderInfo) -> None:
    cache = EmbeddingCache(5 * SIZE)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: cache.put(info, str(n % 40), None, entry(n)), range(400)))

    assert cache.size_bytes == 5 * SIZE


def test_the_digest_is_that_of_the_whole_content() -> None:
    content = bytes(range(256)) * 5000
    with tempfile.SpooledTemporaryFile(max_size=100) as spooled:
        spooled.write(content)
        files = [io.BytesIO(content), spooled]
        digests = {content_digest(file) for file in files}  # type: ignore[arg-type]  # is binary

    assert digests == {hashlib.sha256(content).hexdigest()}
