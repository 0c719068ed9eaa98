from __future__ import annotations

from pathlib import Path

import pytest
from tiny_library import execute, make_clip, make_embedding, open_library

from service.catalog import changes
from service.catalog.changes import Version
from service.library.library import Library
from service.row_ids import clips_of

OTHER = "cd" * 32


@pytest.fixture
def pruned_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep two deletions, and prune at every second write."""
    monkeypatch.setattr(changes, "KEPT_DELETIONS", 2)
    monkeypatch.setattr(changes, "PRUNE_EVERY", 2)


def put(library: Library, **seeds: int) -> None:
    """Put clips of these names, with the embeddings of these seeds, in one write."""
    clips = [make_clip(name, seed, stored=False) for name, seed in seeds.items()]
    library.writer.put_many(clips)


def version(library: Library, revision: int) -> Version:
    """Return the version of a revision."""
    query = "SELECT revision, token FROM writes WHERE revision = ?"
    return Version(*next(iter(library.catalog.database.query(query, revision)), (revision, 0)))


def read(library: Library, since: int) -> tuple[int, list[int], dict[int, list[float]]]:
    """Return revision, removed clips, and embeddings by number, of clips without windows."""
    with library.catalog.changes(version(library, since)) as found:
        embeddings = {
            int(seq): embedding.tolist()
            for rows, batch in found.batches
            for seq, embedding in zip(clips_of(rows), batch, strict=True)
        }
        assert sorted(clips_of(found.rows).tolist()) == sorted(embeddings)
        return found.version.revision, found.removed.tolist(), embeddings


def n_deletions(path: Path) -> int:
    ((n,),) = execute(path, "SELECT count(*) FROM deletions")
    return int(n)


def test_changes_since_a_revision(library: Library) -> None:
    put(library, a=1, b=2)
    put(library, c=3)
    put(library, a=4)
    library.writer.delete("b")
    three, four = make_embedding(3).tolist(), make_embedding(4).tolist()

    assert read(library, 0) == (4, [2], {1: four, 3: three})
    assert read(library, 2) == (4, [2], {1: four})
    assert read(library, 4) == (4, [], {})


def test_changes_are_of_one_moment(library: Library) -> None:
    put(library, a=1)
    with library.catalog.changes(Version(0, 0)) as found:
        put(library, b=2)
        assert sum(len(rows) for rows, _ in found.batches) == 1
        assert found.version.revision == 1


def test_clips_of_another_encoder_count_as_removed(tmp_path: Path, library: Library) -> None:
    other = open_library(tmp_path, fingerprint=OTHER, reembedding=True)
    put(library, a=1)
    put(other, b=2)
    assert read(library, 0)[1:] == ([2], {1: make_embedding(1).tolist()})
    assert read(other, 0)[1:] == ([1], {2: make_embedding(2).tolist()})

    put(other, a=3)

    assert read(library, 2)[1:] == ([1], {})
    other.close()


@pytest.mark.usefixtures("pruned_often")
def test_old_deletions_are_removed_and_the_newest_stay(tmp_path: Path, library: Library) -> None:
    put(library, **{f"c{seed}": seed for seed in range(40)})

    for seed in range(40):
        library.writer.delete(f"c{seed}")
        assert n_deletions(tmp_path) <= 5

    revision = library.catalog.revision()
    for since in (revision - 1, revision - 2):
        with library.catalog.changes(version(library, since)) as found:
            assert (found.since, len(found.removed)) == (since, revision - since)


@pytest.mark.usefixtures("pruned_often")
def test_changes_start_from_nothing_if_deletions_are_no_longer_known(library: Library) -> None:
    put(library, **{f"c{seed}": seed for seed in range(10)})
    for seed in range(9):
        library.writer.delete(f"c{seed}")

    known = []
    for since in range(1, library.catalog.revision() + 1):
        with library.catalog.changes(version(library, since)) as found:
            is_known = found.since == since
            assert is_known or (found.since == 0 and clips_of(found.rows).tolist() == [10])
            assert not is_known or len(found.removed) == library.catalog.revision() - since
            known.append(is_known)
    assert known == sorted(known), "once too old, all that is older is too"
    assert {True, False} == set(known)
