from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from tiny_library import FINGERPRINT, MEAN, make_clip, make_embedding, open_library

from service.catalog.catalog import Catalog
from service.difference import centre
from service.index.ivf import IvfRaBitQIndex
from service.index.ivf_builder import build_ivf
from service.index.search import SearchRequest
from service.index.vector_index import BuildSnapshot, VectorIndex
from service.inference.embedding_space import CentredSpace
from service.library.library import Library
from service.library.synced_index import SyncedIndex
from service.row_ids import clips_of


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = open_library(tmp_path)
    library.writer.put_many(
        [make_clip(f"c{seed}", seed, stored=False, n_windows=seed % 3) for seed in range(20)]
    )
    yield library
    library.close()


@pytest.fixture
def catalog(tmp_path: Path, library: Library) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path / "catalog.sqlite", fingerprint=FINGERPRINT, precision="float32")
    yield catalog
    catalog.close()


def live_index(catalog: Catalog, tmp_path: Path, mean: np.ndarray = MEAN) -> SyncedIndex:
    return SyncedIndex(catalog, tmp_path / "index", space=CentredSpace(FINGERPRINT, mean))


def everything(index: SyncedIndex, seed: int = 0) -> tuple[list[float], list[int]]:
    found = index.search(SearchRequest(centre(make_embedding(seed), MEAN), 1000))
    return found.scores.tolist(), found.seqs.tolist()


def test_writes_after_the_first_search_are_seen(
    tmp_path: Path, library: Library, catalog: Catalog
) -> None:
    index = live_index(catalog, tmp_path)
    assert everything(index, 3)[1][0] == 4
    library.writer.delete("c3")
    library.writer.put(make_clip("c5", 3, stored=False))
    library.writer.put(make_clip("new", 3, stored=False))
    numbers = {record.id: seq for seq, record in catalog.page(0, 100, None)}
    assert everything(index, 3)[1][:2] == [numbers["c5"], numbers["new"]]
    assert sorted(everything(index)[1]) == sorted(numbers.values())


def test_an_index_that_follows_has_nothing_to_catch_up_in_a_search(
    monkeypatch: pytest.MonkeyPatch, library: Library, catalog: Catalog, tmp_path: Path
) -> None:
    index, refresh, late = live_index(catalog, tmp_path), SyncedIndex.refresh, iter(["late"])

    def with_company(self: SyncedIndex) -> None:
        refresh(self)
        for clip_id in late:
            library.writer.put(make_clip(clip_id, 50, stored=False))

    monkeypatch.setattr(SyncedIndex, "refresh", with_company)
    index.refresh_in_background()
    index.wait()
    monkeypatch.setattr(SyncedIndex, "refresh", pytest.fail)
    assert len(everything(index)[1]) == 21
    index.close()


def test_catching_up_from_a_snapshot_equals_building(
    tmp_path: Path, library: Library, catalog: Catalog
) -> None:
    live_index(catalog, tmp_path).save()
    library.writer.delete("c3")
    library.writer.put_many(
        [make_clip(f"c{seed}", seed + 100, stored=False) for seed in (1, 2, 50)]
    )
    caught_up = live_index(catalog, tmp_path)
    built = live_index(catalog, tmp_path / "audio")
    assert everything(caught_up) == everything(built)


def test_a_snapshot_is_used(
    tmp_path: Path, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    live_index(catalog, tmp_path).save()
    with caplog.at_level(logging.INFO, "service"):
        live_index(catalog, tmp_path).refresh()
    assert caplog.records == []


def test_a_snapshot_centred_otherwise_is_not_used(
    tmp_path: Path, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    live_index(catalog, tmp_path).save()
    other = live_index(catalog, tmp_path, mean=MEAN + 1)
    query = centre(make_embedding(4), MEAN + 1)
    np.testing.assert_allclose(other.search(SearchRequest(query, 1)).scores, 1.0, atol=1e-6)
    assert "foreign" in caplog.text


def test_saving_twice_writes_once(tmp_path: Path, library: Library, catalog: Catalog) -> None:
    index = live_index(catalog, tmp_path)
    head = tmp_path / "index" / "snapshot.json"
    index.save()
    first = head.read_bytes()
    index.save()
    live_index(catalog, tmp_path).save()
    assert head.read_bytes() == first
    library.writer.delete("c0")
    index.save()
    assert head.read_bytes() != first


def test_a_change_that_moves_no_clip_removes_none(
    tmp_path: Path, library: Library, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = live_index(catalog, tmp_path)
    before = everything(index)
    removed: list[int] = []
    remove = VectorIndex.remove
    monkeypatch.setattr(
        VectorIndex, "remove", lambda self, rows: (removed.extend(rows), remove(self, rows))
    )

    library.writer.put(make_clip("c5", 5, metadata={"of": "no matter"}, stored=False, n_windows=2))
    assert everything(index) == before
    assert removed == []

    library.writer.put_many([make_clip("c3", 3, stored=False), make_clip("c4", 40, n_windows=1)])
    assert sorted(everything(index)[1]) == sorted(before[1])
    assert set(clips_of(np.array(removed)).tolist()) == {5}


def test_a_clip_that_has_fewer_windows_now_keeps_none_of_the_others(
    tmp_path: Path, library: Library, catalog: Catalog
) -> None:
    index = live_index(catalog, tmp_path)
    assert index.n_vectors() == 20 + 19
    library.writer.put_many([make_clip("c5", 5, n_windows=1), make_clip("c8", 8)])
    assert index.n_vectors() == 20 + 16
    library.writer.delete("c11")
    assert index.n_vectors() == 19 + 14
    assert everything(index) == everything(live_index(catalog, tmp_path / "tmp"))


def test_shares_of_the_terms_are_told_for_each_clip(
    tmp_path: Path, library: Library, catalog: Catalog
) -> None:
    index = live_index(catalog, tmp_path)
    one, other = centre(make_embedding(1), MEAN), centre(make_embedding(2), MEAN)
    query = (one + other) / np.linalg.norm(one + other)

    found = index.search(SearchRequest(query, 20), {"one": one, "other": other})

    assert found.shares["one"][found.seqs == 2] == pytest.approx(1, abs=1e-6)
    assert found.shares["other"][found.seqs == 3] == pytest.approx(1, abs=1e-6)
    total = (found.shares["one"] + found.shares["other"]) / np.linalg.norm(one + other)
    np.testing.assert_allclose(total, found.scores, atol=1e-6)
    assert index.search(SearchRequest(query, 20)).shares == {}


def test_a_catch_up_that_breaks_off_leaves_nothing_half_done(
    tmp_path: Path, library: Library, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = live_index(catalog, tmp_path)
    before = everything(index)
    library.writer.put(make_clip("c5", 5, stored=False, n_windows=2))

    def out_of_memory(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(VectorIndex, "add", out_of_memory)
        with pytest.raises(MemoryError):
            everything(index)
    assert everything(index) == before


@pytest.fixture
def growing(tmp_path: Path, library: Library, catalog: Catalog) -> Iterator[SyncedIndex]:
    """An index that searches no more than ten clips exactly."""
    space = CentredSpace(FINGERPRINT, MEAN)
    index = SyncedIndex(catalog, tmp_path / "index", space=space, exact_below=10)
    yield index
    index.close()


def test_a_library_that_grew_is_settled_beside_its_searches(
    tmp_path: Path, library: Library, catalog: Catalog, growing: SyncedIndex
) -> None:
    before = everything(growing, 3)
    growing.wait()
    after = everything(growing, 3)
    assert after[1] == before[1]
    np.testing.assert_allclose(after[0], before[0], atol=2e-3)
    library.writer.delete("c3")
    library.writer.put(make_clip("new", 3, stored=False))
    numbers = {record.id: seq for seq, record in catalog.page(0, 100, None)}
    assert everything(growing, 3)[1][0] == numbers["new"]
    assert sorted(everything(growing)[1]) == sorted(numbers.values())


def test_a_settled_index_comes_back_from_its_snapshot(
    tmp_path: Path, library: Library, catalog: Catalog, growing: SyncedIndex
) -> None:
    growing.refresh()
    growing.wait()
    expected = everything(growing, 5)
    growing.save()
    again = live_index(catalog, tmp_path)
    assert everything(again, 5) == expected
    again.close()


def test_live_searches_of_a_settled_index_are_audited(growing: SyncedIndex) -> None:
    told: list[tuple[float, bool]] = []
    growing.audit.on_recall = lambda share, is_modified: told.append((share, is_modified))
    growing.refresh()
    growing.wait()
    query = centre(make_embedding(2), MEAN)
    growing.search(SearchRequest(query, 5, is_modified=True), {"audio": query, "modifier": query})
    growing.audit.wait()
    assert told == [(1.0, True)]


def test_what_came_while_it_was_settled_is_settled_without_another_write(
    monkeypatch: pytest.MonkeyPatch, library: Library, growing: SyncedIndex
) -> None:
    made: list[int] = []

    def with_company(unsettled: BuildSnapshot, **options: Any) -> IvfRaBitQIndex:
        if not made:
            library.writer.put_many([make_clip(f"late{n}", n, stored=False) for n in range(50, 60)])
            growing.refresh()
        made.append(len(unsettled))
        return build_ivf(unsettled, **options)

    monkeypatch.setattr("service.library.synced_index.build_ivf", with_company)
    growing.refresh()
    growing.wait()
    assert len(made) == 2
    assert made[1] == growing.n_vectors()


def test_an_emptied_library_starts_again(
    library: Library, growing: SyncedIndex, caplog: pytest.LogCaptureFixture
) -> None:
    growing.refresh()
    growing.wait()
    for seed in range(20):
        library.writer.delete(f"c{seed}")
    assert everything(growing)[1] == []
    growing.wait()
    library.writer.put(make_clip("new", 3, stored=False))
    assert len(everything(growing)[1]) == 1
    growing.wait()
    assert growing.n_vectors() == 1
    assert "failed" not in caplog.text


def test_searches_go_on_while_it_is_settled(
    monkeypatch: pytest.MonkeyPatch, library: Library, growing: SyncedIndex
) -> None:
    entered, release = Event(), Event()

    def slowly(*arguments: Any, **options: Any) -> IvfRaBitQIndex:
        entered.set()
        release.wait(60)
        return build_ivf(*arguments, **options)

    monkeypatch.setattr("service.library.synced_index.build_ivf", slowly)
    growing.refresh()
    assert entered.wait(60)
    library.writer.put(make_clip("meanwhile", 77, stored=False))
    assert len(everything(growing)[1]) == 21
    release.set()
    growing.wait()
    assert len(everything(growing)[1]) == 21
