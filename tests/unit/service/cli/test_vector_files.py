from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from pyarrow import parquet

from service.cli.vector_files import write_vectors

NAMES = ["a.wav", "b/ü.wav"]
EMBEDDINGS = np.random.default_rng(0).standard_normal((2, 5)).astype(np.float32)


def test_npz_has_the_same_bits(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"

    write_vectors(path, NAMES, EMBEDDINGS, fingerprint="f")

    with np.load(path, allow_pickle=False) as stored:
        assert stored["names"].tolist() == NAMES
        np.testing.assert_array_equal(stored["embeddings"], EMBEDDINGS)
        assert stored["embeddings"].dtype == np.float32
        assert str(stored["fingerprint"]) == "f"


def test_parquet_has_the_same_bits(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"

    write_vectors(path, NAMES, EMBEDDINGS, fingerprint="f")

    table = parquet.read_table(path).to_pydict()
    assert table["name"] == NAMES
    np.testing.assert_array_equal(np.array(table["embedding"], np.float32), EMBEDDINGS)
    assert table["fingerprint"] == ["f", "f"]
    assert "fixed_size_list<" in str(parquet.read_schema(path).field("embedding").type)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_a_file_without_embeddings_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"

    write_vectors(path, [], EMBEDDINGS[:0], fingerprint="f")

    assert path.stat().st_size > 0


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"old")

    def fail(file: BinaryIO, **_: object) -> None:
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", fail)

    with pytest.raises(OSError, match="No space"):
        write_vectors(path, NAMES, EMBEDDINGS, fingerprint="f")
    assert [file.name for file in tmp_path.iterdir()] == ["x.npz"]
    assert path.read_bytes() == b"old"
