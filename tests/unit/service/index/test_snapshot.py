from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from service.index.snapshot import Origin, Snapshots
from service.index.vector_index import VectorIndex

ORIGIN = Origin(library="1" * 32, fingerprint="2" * 64, space="centred", dim=4)


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "index", ORIGIN)


def make_index(revision: int) -> VectorIndex:
    index = VectorIndex(4)
    index.add(np.arange(1, 4), np.eye(4, dtype=np.float32)[:3])
    index.revision = revision
    return index


def data_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "index").glob("*.faiss")
    return path


def test_snapshot_gives_the_index_back(snapshots: Snapshots) -> None:
    snapshots.save(make_index(7))
    index = snapshots.load(newest=9)
    assert index is not None
    assert (index.revision, len(index)) == (7, 3)
    assert index.search(np.eye(4, dtype=np.float32)[1], 1)[1].tolist() == [2]


def test_a_new_snapshot_replaces_the_old(tmp_path: Path, snapshots: Snapshots) -> None:
    snapshots.save(make_index(7))
    snapshots.save(make_index(8))
    index = snapshots.load(newest=9)
    assert index is not None
    assert index.revision == 8
    names = sorted(path.name for path in (tmp_path / "index").iterdir())
    assert names == sorted([data_file(tmp_path).name, "snapshot.json", "snapshot.lock"])


def test_no_snapshot_is_nothing_to_warn_of(
    snapshots: Snapshots, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert snapshots.load(newest=9) is None
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_a_save_that_fails_keeps_the_old_snapshot(
    tmp_path: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots.save(make_index(7))
    monkeypatch.setattr(VectorIndex, "write", lambda _, path: path.write_bytes(b"half"))
    monkeypatch.setattr("service.index.snapshot.sync_directory", lambda _: None)
    monkeypatch.setattr("service.index.snapshot._sync_file", _disk_full)
    with pytest.raises(OSError, match="full"):
        snapshots.save(make_index(8))
    assert data_file(tmp_path)
    index = snapshots.load(newest=9)
    assert index is not None
    assert index.revision == 7


def _disk_full(path: Path) -> None:
    raise OSError("disk full")


@pytest.mark.parametrize(
    "origin",
    [
        replace(ORIGIN, library="9" * 32),
        replace(ORIGIN, fingerprint="9" * 64),
        replace(ORIGIN, space="towers"),
        replace(ORIGIN, dim=5),
    ],
)
def test_a_foreign_snapshot_is_not_used(
    tmp_path: Path, snapshots: Snapshots, origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    snapshots.save(make_index(7))
    assert Snapshots(tmp_path / "index", origin).load(newest=9) is None
    assert "foreign" in caplog.text


def test_a_snapshot_from_the_future_is_not_used(
    snapshots: Snapshots, caplog: pytest.LogCaptureFixture
) -> None:
    snapshots.save(make_index(10))
    assert snapshots.load(newest=9) is None
    assert "revision 10" in caplog.text


def test_no_flipped_bit_of_either_file_is_believed(tmp_path: Path, snapshots: Snapshots) -> None:
    """A flip in the head that JSON does not notice, such as another revision, is noticed too."""
    snapshots.save(make_index(7))
    for path in (data_file(tmp_path), tmp_path / "index" / "snapshot.json"):
        whole = path.read_bytes()
        for position in range(len(whole)):
            flipped = bytearray(whole)
            flipped[position] ^= 1
            path.write_bytes(flipped)
            index = snapshots.load(newest=9)
            # White space between the tokens of the head says nothing.
            assert index is None or orjson.loads(flipped) == orjson.loads(whole)
        path.write_bytes(whole)
    assert snapshots.load(newest=9) is not None


@pytest.mark.parametrize("n_left", [0, 1, 40, -1])
def test_a_truncated_file_is_not_believed(
    tmp_path: Path, snapshots: Snapshots, n_left: int
) -> None:
    snapshots.save(make_index(7))
    for path in (data_file(tmp_path), tmp_path / "index" / "snapshot.json"):
        whole = path.read_bytes()
        path.write_bytes(whole[:n_left])
        assert snapshots.load(newest=9) is None
        path.write_bytes(whole)
    data_file(tmp_path).unlink()
    assert snapshots.load(newest=9) is None


@pytest.mark.parametrize("head", [[], {}, {"about": 3}, {"about": {"revision": "7"}}, None])
def test_a_head_of_another_shape_is_not_believed(
    tmp_path: Path, snapshots: Snapshots, head: object
) -> None:
    snapshots.save(make_index(7))
    (tmp_path / "index" / "snapshot.json").write_bytes(orjson.dumps(head))
    assert snapshots.load(newest=9) is None
