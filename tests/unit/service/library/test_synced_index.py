from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from tiny_library import FINGERPRINT, MEAN, make_clip, make_embedding

from service.catalog.catalog import Catalog
from service.concurrency.locks import SharedLock
from service.difference import centre
from service.index.ivf import IvfRaBitQIndex
from service.index.ivf_builder import build_ivf
from service.index.search import SearchRequest, nearest
from service.index.vector_index import BuildSnapshot, VectorIndex
from service.inference.embedding_space import CentredSpace
from service.library import synced_index
from service.library.library import Library
from service.library.synced_index import SyncedIndex

TIMEOUT_S = 30
A_MOMENT_S = 0.05


@pytest.fixture
def library(library: Library) -> Library:
    """Twenty clips, numbered from 1, of which many have windows."""
    library.writer.put_many(
        [make_clip(f"c{seed}", seed, stored=False, n_windows=seed % 3) for seed in range(20)]
    )
    return library


@pytest.fixture
def catalog(library: Library) -> Catalog:
    return library.catalog


def open_index(catalog: Catalog, tmp_path: Path, mean: np.ndarray = MEAN) -> SyncedIndex:
    return SyncedIndex(catalog, tmp_path / "index", space=CentredSpace(FINGERPRINT, mean))


def query(seed: int) -> np.ndarray:
    vector: np.ndarray = centre(make_embedding(seed), MEAN)
    return vector


def search_all(index: SyncedIndex, seed: int = 0) -> tuple[list[float], list[int]]:
    found = index.search(SearchRequest(query(seed), 1000))
    return found.scores.tolist(), found.seqs.tolist()


def test_a_search_after_a_refresh_in_the_background_updates_nothing(
    monkeypatch: pytest.MonkeyPatch, library: Library, catalog: Catalog, tmp_path: Path
) -> None:
    index, refresh, late = open_index(catalog, tmp_path), SyncedIndex.refresh, iter(["late"])

    def refresh_and_write(self: SyncedIndex) -> None:
        refresh(self)
        for clip_id in late:
            library.writer.put(make_clip(clip_id, 50, stored=False))

    monkeypatch.setattr(SyncedIndex, "refresh", refresh_and_write)
    index.refresh_in_background()
    index.wait()
    monkeypatch.setattr(SyncedIndex, "refresh", pytest.fail)
    assert len(search_all(index)[1]) == 21
    index.close()


def test_a_snapshot_is_used(
    tmp_path: Path, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    open_index(catalog, tmp_path).save()
    with caplog.at_level(logging.INFO, "service"):
        open_index(catalog, tmp_path).refresh()
    assert caplog.records == []


def test_a_snapshot_of_another_space_is_not_used(
    tmp_path: Path, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    open_index(catalog, tmp_path).save()
    other = open_index(catalog, tmp_path, mean=MEAN + 1)
    found = other.search(SearchRequest(centre(make_embedding(4), MEAN + 1), 1))
    np.testing.assert_allclose(found.scores, 1.0, atol=1e-6)
    assert "it belongs to" in caplog.text


def test_saving_twice_writes_once(tmp_path: Path, library: Library, catalog: Catalog) -> None:
    index = open_index(catalog, tmp_path)
    head = tmp_path / "index" / "snapshot.json"
    index.save()
    first = head.read_bytes()
    index.save()
    open_index(catalog, tmp_path).save()
    assert head.read_bytes() == first
    library.writer.delete("c0")
    index.save()
    assert head.read_bytes() != first


def test_each_hit_has_its_inner_product_with_every_term(tmp_path: Path, catalog: Catalog) -> None:
    index = open_index(catalog, tmp_path)
    one, other = query(1), query(2)
    norm = np.linalg.norm(one + other)

    found = index.search(SearchRequest((one + other) / norm, 20), {"one": one, "other": other})

    assert found.shares["one"][found.seqs == 2] == pytest.approx(1, abs=1e-6)
    assert found.shares["other"][found.seqs == 3] == pytest.approx(1, abs=1e-6)
    total = (found.shares["one"] + found.shares["other"]) / norm
    np.testing.assert_allclose(total, found.scores, atol=1e-6)
    assert index.search(SearchRequest(one, 20)).shares == {}


def test_an_update_that_fails_leaves_nothing_half_done(
    tmp_path: Path, library: Library, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = open_index(catalog, tmp_path)
    before = search_all(index)
    library.writer.put(make_clip("c5", 5, stored=False, n_windows=2))

    def out_of_memory(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(VectorIndex, "add", out_of_memory)
        with pytest.raises(MemoryError):
            search_all(index)
    assert search_all(index) == before


def test_vectors_are_counted_while_the_index_is_updated(
    tmp_path: Path, library: Library, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = open_index(catalog, tmp_path)
    index.refresh()
    assert index.n_vectors() == 20 + 19
    library.writer.put(make_clip("new", 50, stored=False, n_windows=2))
    updating, finish = Event(), Event()

    def wait(*_: object) -> None:
        updating.set()
        assert finish.wait(TIMEOUT_S)

    monkeypatch.setattr(synced_index, "apply_changes", wait)
    with ThreadPoolExecutor(2) as pool:
        refresh = pool.submit(index.refresh)
        assert updating.wait(TIMEOUT_S)
        try:
            assert pool.submit(index.n_vectors).result(TIMEOUT_S) == 21 + 21
            assert not refresh.done()
        finally:
            finish.set()


@pytest.fixture
def approximate(tmp_path: Path, library: Library, catalog: Catalog) -> Iterator[SyncedIndex]:
    """An index that searches no more than ten vectors exactly."""
    space = CentredSpace(FINGERPRINT, MEAN)
    index = SyncedIndex(catalog, tmp_path / "index", space=space, exact_below=10)
    yield index
    index.close()


def build(index: SyncedIndex) -> None:
    index.refresh()
    index.wait()


def test_an_inverted_file_is_built_when_the_library_has_grown(
    library: Library, catalog: Catalog, approximate: SyncedIndex
) -> None:
    before = search_all(approximate, 3)
    approximate.wait()
    after = search_all(approximate, 3)
    assert after[1] == before[1]
    np.testing.assert_allclose(after[0], before[0], atol=2e-3)
    library.writer.delete("c3")
    library.writer.put(make_clip("new", 3, stored=False))
    numbers = {record.id: seq for seq, record in catalog.page(0, 100, None) if record}
    assert search_all(approximate, 3)[1][0] == numbers["new"]
    assert sorted(search_all(approximate)[1]) == sorted(numbers.values())


def test_an_inverted_file_comes_back_from_its_snapshot(
    tmp_path: Path, catalog: Catalog, approximate: SyncedIndex
) -> None:
    build(approximate)
    expected = search_all(approximate, 5)
    approximate.save()
    again = open_index(catalog, tmp_path)
    assert search_all(again, 5) == expected
    again.close()


def test_vectors_that_come_during_a_build_are_built_in_without_another_write(
    monkeypatch: pytest.MonkeyPatch, library: Library, approximate: SyncedIndex
) -> None:
    sizes: list[int] = []

    def write_and_build(content: BuildSnapshot, **options: Any) -> IvfRaBitQIndex:
        if not sizes:
            library.writer.put_many([make_clip(f"late{n}", n, stored=False) for n in range(50, 60)])
            approximate.refresh()
        sizes.append(len(content))
        return build_ivf(content, **options)

    monkeypatch.setattr(synced_index, "build_ivf", write_and_build)
    build(approximate)
    assert len(sizes) == 2
    assert sizes[1] == approximate.n_vectors()


def test_an_emptied_library_can_be_filled_again(
    library: Library, approximate: SyncedIndex, caplog: pytest.LogCaptureFixture
) -> None:
    build(approximate)
    for seed in range(20):
        library.writer.delete(f"c{seed}")
    assert search_all(approximate)[1] == []
    approximate.wait()
    library.writer.put(make_clip("new", 3, stored=False))
    assert len(search_all(approximate)[1]) == 1
    approximate.wait()
    assert approximate.n_vectors() == 1
    assert "failed" not in caplog.text


def test_searches_go_on_during_a_build(
    monkeypatch: pytest.MonkeyPatch, library: Library, approximate: SyncedIndex
) -> None:
    building, finish = Event(), Event()

    def wait_and_build(*arguments: Any, **options: Any) -> IvfRaBitQIndex:
        building.set()
        finish.wait(TIMEOUT_S)
        return build_ivf(*arguments, **options)

    monkeypatch.setattr(synced_index, "build_ivf", wait_and_build)
    approximate.refresh()
    assert building.wait(TIMEOUT_S)
    library.writer.put(make_clip("meanwhile", 77, stored=False))
    assert len(search_all(approximate)[1]) == 21
    finish.set()
    approximate.wait()
    assert len(search_all(approximate)[1]) == 21


@pytest.mark.parametrize("slice_rows", [1, 5, 1000])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"every_window": True},
        {"allowed": np.arange(3, 12)},
        {"allowed": np.empty(0, np.int64)},
        {"excluded": np.array([3, 4])},
    ],
)
def test_an_exact_search_in_slices_finds_the_true_hits(
    monkeypatch: pytest.MonkeyPatch,
    approximate: SyncedIndex,
    slice_rows: int,
    options: dict[str, Any],
) -> None:
    monkeypatch.setattr(synced_index, "SLICE_ROWS", slice_rows)
    build(approximate)
    request = SearchRequest(query(2), 7, **options)
    with approximate._up_to_date() as index:
        _, expected = nearest(index, request, exact=True)
    assert approximate._search_exactly(request).tolist() == expected.tolist()


def test_the_recall_of_approximate_searches_is_measured(approximate: SyncedIndex) -> None:
    measured: list[tuple[float, bool]] = []
    approximate.recall_monitor.on_recall = lambda share, is_modified: measured.append(
        (share, is_modified)
    )
    build(approximate)
    terms = {"audio": query(2), "modifier": query(2)}
    approximate.search(SearchRequest(query(2), 5, is_modified=True), terms)
    approximate.recall_monitor.wait()
    assert measured == [(1.0, True)]


def test_an_update_does_not_wait_for_a_whole_exact_search(
    monkeypatch: pytest.MonkeyPatch, library: Library, approximate: SyncedIndex
) -> None:
    build(approximate)
    order: list[str] = []
    scanning, update_waits = Event(), Event()
    exclusive = SharedLock.exclusive

    def note_scan(index: VectorIndex, request: SearchRequest, *, exact: bool = False) -> Any:
        if exact:
            order.append("slice")
            scanning.set()
            if not update_waits.is_set():
                assert update_waits.wait(TIMEOUT_S)
                time.sleep(A_MOMENT_S)  # it has to reach the lock
        return nearest(index, request, exact=exact)

    @contextmanager
    def note_update(self: SharedLock) -> Iterator[None]:
        update_waits.set()
        with exclusive(self):
            order.append("update")
            yield

    monkeypatch.setattr(synced_index, "SLICE_ROWS", 4)
    monkeypatch.setattr(synced_index, "nearest", note_scan)
    monkeypatch.setattr(SharedLock, "exclusive", note_update)
    approximate.search(SearchRequest(query(2), 5))
    assert scanning.wait(TIMEOUT_S)
    library.writer.delete("c3")
    assert len(search_all(approximate)[1]) == 19
    approximate.recall_monitor.wait()
    assert order.index("update") < len(order) - 1, "slices followed"
    assert order.count("slice") > 4
