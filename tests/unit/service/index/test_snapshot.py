from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson
import pytest

from service.index.snapshot import Origin, Snapshots
from service.index.vector_index import VectorIndex

ORIGIN = Origin(library="1" * 32, fingerprint="2" * 64, space="centred", dim=4)


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "index", ORIGIN)


def is_known(revision: int, token: int) -> bool:
    """Tell whether a catalogue of nine writes knows one; the token is ten times the revision."""
    return revision <= 9 and token == 10 * revision


def make_index(revision: int) -> VectorIndex:
    index = VectorIndex(4)
    index.add(np.arange(1, 4), np.eye(4, dtype=np.float32)[:3])
    index.revision, index.token = revision, 10 * revision
    return index


def loaded_revision(snapshots: Snapshots) -> int | None:
    index = snapshots.load(is_known=is_known)
    return None if index is None else index.revision


def data_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "index").glob("*.faiss")
    return path


def test_a_snapshot_is_read_back(snapshots: Snapshots) -> None:
    snapshots.save(make_index(7))
    index = snapshots.load(is_known=is_known)
    assert index is not None
    assert (index.revision, index.token, len(index)) == (7, 70, 3)
    assert index.search(np.eye(4, dtype=np.float32)[1], 1)[1].tolist() == [2]


def test_a_missing_snapshot_is_no_warning(
    snapshots: Snapshots, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert snapshots.load(is_known=is_known) is None
    assert [record.levelname for record in caplog.records] == ["INFO"]


def write_half(_: VectorIndex, file: BinaryIO) -> None:
    file.write(b"half")
    raise OSError("disk full")


def test_a_save_that_fails_keeps_the_old_snapshot(
    tmp_path: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots.save(make_index(7))
    before = sorted((tmp_path / "index").iterdir())
    monkeypatch.setattr(VectorIndex, "write", write_half)
    with pytest.raises(OSError, match="full"):
        snapshots.save(make_index(8))
    assert sorted((tmp_path / "index").iterdir()) == before
    assert loaded_revision(snapshots) == 7


def test_a_save_replaces_the_old_snapshot_and_what_a_crash_left(
    tmp_path: Path, snapshots: Snapshots
) -> None:
    snapshots.save(make_index(7))
    for name in ("0123.faiss", ".4567.faiss.89.tmp", ".snapshot.json.ab.tmp"):
        (tmp_path / "index" / name).write_bytes(b"half")
    snapshots.save(make_index(8))
    assert loaded_revision(snapshots) == 8
    names = sorted(path.name for path in (tmp_path / "index").iterdir())
    assert names == sorted([data_file(tmp_path).name, "snapshot.json", "snapshot.lock"])


def test_a_snapshot_of_an_older_version_is_replaced(
    tmp_path: Path, snapshots: Snapshots, caplog: pytest.LogCaptureFixture
) -> None:
    """Format 4 had row ids in the lists, and the deleted ones in the first line, as `gone`."""
    content = b'{"n_probe":1,"n_candidates":16,"gone":[]}\n'
    about = {"format": 4, "revision": 7, **asdict(ORIGIN)}
    digest = hashlib.sha256(content + orjson.dumps(about, option=orjson.OPT_SORT_KEYS))
    head = {"about": about, "file": "old.faiss", "sha256": digest.hexdigest()}
    (tmp_path / "index" / "old.faiss").write_bytes(content)
    (tmp_path / "index" / "snapshot.json").write_bytes(orjson.dumps(head))

    assert snapshots.load(is_known=is_known) is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]

    snapshots.save(make_index(8))
    assert loaded_revision(snapshots) == 8
    assert data_file(tmp_path).name != "old.faiss"


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
    assert Snapshots(tmp_path / "index", origin).load(is_known=is_known) is None
    assert "foreign" in caplog.text


@pytest.mark.parametrize(("revision", "token"), [(10, 100), (7, 71)])
def test_a_snapshot_of_a_version_that_the_catalogue_does_not_know_is_not_used(
    snapshots: Snapshots, caplog: pytest.LogCaptureFixture, revision: int, token: int
) -> None:
    index = make_index(revision)
    index.token = token
    snapshots.save(index)
    assert snapshots.load(is_known=is_known) is None
    assert f"revision {revision} of another copy" in caplog.text


def test_a_snapshot_with_a_flipped_bit_in_either_file_is_not_used(
    tmp_path: Path, snapshots: Snapshots
) -> None:
    """Also where the head is still JSON, but for example of another revision."""
    snapshots.save(make_index(7))
    for path in (data_file(tmp_path), tmp_path / "index" / "snapshot.json"):
        whole = path.read_bytes()
        for position in range(len(whole)):
            flipped = bytearray(whole)
            flipped[position] ^= 1
            path.write_bytes(flipped)
            index = snapshots.load(is_known=is_known)
            # A flip may also turn white space of the head into other white space.
            assert index is None or orjson.loads(flipped) == orjson.loads(whole)
        path.write_bytes(whole)
    assert snapshots.load(is_known=is_known) is not None


@pytest.mark.parametrize("n_left", [0, 1, 40, -1])
def test_a_truncated_snapshot_is_not_used(
    tmp_path: Path, snapshots: Snapshots, n_left: int
) -> None:
    snapshots.save(make_index(7))
    for path in (data_file(tmp_path), tmp_path / "index" / "snapshot.json"):
        whole = path.read_bytes()
        path.write_bytes(whole[:n_left])
        assert snapshots.load(is_known=is_known) is None
        path.write_bytes(whole)
    data_file(tmp_path).unlink()
    assert snapshots.load(is_known=is_known) is None


@pytest.mark.parametrize("head", [[], {}, {"about": 3}, {"about": {"revision": "7"}}, None])
def test_a_head_of_another_shape_is_not_used(
    tmp_path: Path, snapshots: Snapshots, head: object
) -> None:
    snapshots.save(make_index(7))
    (tmp_path / "index" / "snapshot.json").write_bytes(orjson.dumps(head))
    assert snapshots.load(is_known=is_known) is None
