from __future__ import annotations

import hashlib
import io
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from service.clips import AudioInfo
from service.inference.cache import EmbeddingCache, content_digest
from service.inference.file_embedding import Embedded, Key
from service.inference.pooling import Windowing

DIM = 256
SIZE = Embedded(AudioInfo(), 0, b"", 0.0, np.zeros(DIM, np.float32)).size_bytes


def entry(value: float = 0) -> Embedded:
    return Embedded(AudioInfo(), 1, b"", 0.0, np.full(DIM, value, np.float32))


def key(name: str, windowing: Windowing | None = None) -> Key:
    return ("fingerprint", name, windowing)


def test_what_was_put_is_found_under_its_key_only() -> None:
    lookups: list[bool] = []
    cache = EmbeddingCache(10 * SIZE, on_lookup=lookups.append)
    kept = entry()

    cache.put(key("a"), kept)

    assert cache.get(key("a")) is kept
    assert cache.get(key("b")) is None
    assert cache.get(key("a", Windowing(1, 1))) is None
    assert cache.get(("other", "a", None)) is None
    assert lookups == [True, False, False, False]


def test_the_one_that_was_not_asked_for_for_longest_goes_first() -> None:
    cache = EmbeddingCache(2 * SIZE)
    cache.put(key("a"), entry())
    cache.put(key("b"), entry())
    cache.get(key("a"))

    cache.put(key("c"), entry())

    assert cache.get(key("b")) is None
    assert cache.get(key("a")) is not None
    assert cache.get(key("c")) is not None


def test_putting_again_replaces_and_counts_once() -> None:
    cache = EmbeddingCache(10 * SIZE)
    cache.put(key("a"), entry(1))
    cache.put(key("a"), entry(2))

    found = cache.get(key("a"))
    assert found is not None
    assert found.embedding[0] == 2
    assert cache.size_bytes == SIZE


def test_it_stays_within_its_size() -> None:
    cache = EmbeddingCache(5 * SIZE)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: cache.put(key(str(n % 40)), entry(n)), range(400)))

    assert cache.size_bytes == 5 * SIZE


def test_of_no_size_it_keeps_nothing() -> None:
    cache = EmbeddingCache(0)
    cache.put(key("a"), entry())

    assert cache.get(key("a")) is None


def test_the_digest_is_that_of_the_whole_content_wherever_it_is_read() -> None:
    content = bytes(range(256)) * 5000
    with tempfile.SpooledTemporaryFile(max_size=100) as spooled:
        spooled.write(content)
        files = [io.BytesIO(content), spooled]
        digests = {content_digest(file) for file in files}  # type: ignore[arg-type]  # is binary

    assert digests == {hashlib.sha256(content).hexdigest()}
