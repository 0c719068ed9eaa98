from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float32
from tiny_library import (
    DIM,
    FINGERPRINT,
    MEAN,
    make_bytes,
    make_clip,
    make_embedding,
    open_library,
)

from service.catalog.filters import parse_filter
from service.clips import ReferencedAudio
from service.difference import centre
from service.errors import (
    ClipAudioMissingError,
    CursorInvalidError,
    LibraryError,
)
from service.library.library import Library


def query(seed: int) -> Float32[np.ndarray, " dim"]:
    return centre(make_embedding(seed), MEAN)


def ids(library: Library, seed: int, k: int = 10, **options: object) -> list[str]:
    return [hit.record.id for hit in library.search(query(seed), k, **options)]


def test_clips_and_hits_are_the_same_after_reopening(tmp_path: Path) -> None:
    first = open_library(tmp_path)
    first.writer.put_many([make_clip(f"c{seed}", seed) for seed in range(5)])
    before = first.page()
    first.close()
    second = open_library(tmp_path, create=False)
    assert (second.page(), second.catalog.count(), second.catalog.revision()) == (before, 5, 1)
    assert ids(second, 3, k=1) == ["c3"]
    np.testing.assert_array_equal(second.catalog.embedding("c3"), make_embedding(3))
    assert second.audio_path("c3").read_bytes() == make_bytes(3)
    second.close()


def test_filter_is_exact_however_few_match(library: Library) -> None:
    library.writer.put_many(
        [make_clip(f"c{n}", n, metadata={"n": n}, stored=False) for n in range(200)]
    )
    ranked = ids(library, 0, k=200)
    last = sorted(int(name[1:]) for name in ranked[-3:])
    assert ids(library, 0, k=3, filter=parse_filter({"n": last})) == ranked[-3:]
    assert ids(library, 0, k=3, filter=parse_filter({"n": -1})) == []


def test_equal_clips_come_in_the_order_they_were_put(library: Library) -> None:
    for name in ("z", "m", "a", "q"):
        library.writer.put(make_clip(name, 1))
    library.writer.put(make_clip("m", 1, metadata={"again": True}))
    assert ids(library, 1) == ["z", "m", "a", "q"]
    assert ids(library, 1, k=2) == ["z", "m"]


def test_the_zero_vector_has_no_hits(library: Library) -> None:
    library.writer.put(make_clip("a", 1))
    assert library.search(np.zeros(DIM, np.float32), 5) == []


def test_cursor_of_another_library_is_refused(tmp_path: Path, library: Library) -> None:
    other = open_library(tmp_path / "other")
    other.writer.put_many([make_clip("a", 1), make_clip("b", 2)])
    cursor = other.page(limit=1)[1]
    other.close()
    with pytest.raises(CursorInvalidError):
        library.page(cursor)


def test_the_error_says_why_a_clip_has_no_audio(tmp_path: Path, library: Library) -> None:
    source = tmp_path / "x.wav"
    source.write_bytes(b"sound")
    library.writer.put(make_clip("vector", 1, stored=False))
    library.writer.put(make_clip("stored", 2))
    library.writer.put(
        replace(make_clip("referenced", 3), audio=ReferencedAudio(source, "0" * 64, 5)),
    )
    assert library.audio_path("referenced") == source
    source.unlink()
    library.audio_path("stored").unlink()
    for name, reason in [
        ("vector", "without audio"),
        ("stored", "missing"),
        ("referenced", "missing"),
    ]:
        with pytest.raises(ClipAudioMissingError, match=reason):
            library.audio_path(name)


def test_the_error_names_the_encoder_of_the_library_and_that_of_the_bundle(tmp_path: Path) -> None:
    library = open_library(tmp_path)
    library.writer.put(make_clip("a", 1))
    library.close()
    with pytest.raises(LibraryError, match=rf"(?s){FINGERPRINT}.*{'cd' * 32}"):
        open_library(tmp_path, fingerprint="cd" * 32)


def test_an_empty_library_takes_any_encoder(tmp_path: Path) -> None:
    open_library(tmp_path).close()
    open_library(tmp_path, fingerprint="cd" * 32).close()


def test_a_library_is_made_only_with_create(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="no library"):
        open_library(tmp_path / "deep" / "library", create=False)
    assert not (tmp_path / "deep").exists()
    open_library(tmp_path / "deep" / "library").close()
    open_library(tmp_path / "deep" / "library", create=False).close()


def test_a_path_that_cannot_be_a_library_is_a_library_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LibraryError, match="cannot be used"):
        open_library(tmp_path / "file")


def test_many_threads_may_use_one_library(library: Library) -> None:
    def use(number: int) -> None:
        library.writer.put(make_clip(f"c{number}", number))
        assert ids(library, number, k=1) == [f"c{number}"]
        assert library.catalog.get(f"c{number}").id == f"c{number}"
        if number % 4 == 0:
            library.writer.delete(f"c{number}")
            assert f"c{number}" not in ids(library, number, k=100)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(use, range(48)))
    assert library.catalog.count() == 36


def test_half_precision_changes_no_cosine_measurably() -> None:
    """Non-negative embeddings of magnitudes 0..50, as the encoder's are, compared when centred."""
    rng = np.random.default_rng(0)
    scale = rng.uniform(0.01, 12.0, 3072)
    embeddings = np.minimum(rng.gamma(1.0, 1.0, (200, 3072)) * scale, 50.0).astype(np.float32)
    mean = embeddings.mean(axis=0)
    kept = embeddings.astype(np.float16).astype(np.float32)
    exact, moved = (centre(vectors, mean) for vectors in (embeddings, kept))
    assert np.abs(exact @ exact.T - moved @ moved.T).max() < 1e-3


def test_a_clip_that_another_encoder_replaced_is_not_found_by_its_old_vector(
    tmp_path: Path, library: Library
) -> None:
    library.writer.put_many([make_clip("a", 1), make_clip("b", 2)])
    assert ids(library, 1) == ["a", "b"]

    other = open_library(tmp_path, fingerprint="cd" * 32, reembedding=True)
    other.writer.put(make_clip("a", 3))

    assert ids(library, 1) == ["b"]
    assert ids(other, 3) == ["a"]
    other.close()


def test_only_embedded_clips_count_as_known_content(tmp_path: Path, library: Library) -> None:
    record, _ = library.writer.put(make_clip("a", 1))
    assert record.sha256 is not None
    other = open_library(tmp_path, fingerprint="cd" * 32, reembedding=True)

    assert library.catalog.ids_by_content(record.sha256) == ("a",)
    assert other.catalog.ids_by_content(record.sha256) == ()
    other.close()
