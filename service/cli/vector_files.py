"""Embeddings as files for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
from jaxtyping import Float32

NPZ = ".npz"
PARQUET = ".parquet"


def write_vectors(
    path: Path,
    names: Sequence[str],
    embeddings: Float32[np.ndarray, "clips dim"],
    *,
    fingerprint: str,
) -> None:
    """Write named embeddings, whole or not at all; the suffix of the path says how.

    `.npz` holds the arrays `names` [clips], `embeddings` float32 [clips, dim] and `fingerprint`.
    `.parquet` has the columns `name`, `embedding` (fixed-size list of float32) and `fingerprint`.

    Args:
        path: The file to make or to replace.
        names: One for each embedding.
        embeddings: The raw embeddings.
        fingerprint: Encoder that made them.

    Raises:
        ImportError: It is to be Parquet and PyArrow is not installed.
        OSError: The file cannot be written.
    """
    write = _write_parquet if path.suffix == PARQUET else _write_npz
    temporary = path.with_name(f".{uuid4().hex}{path.suffix}")
    try:
        write(temporary, names, embeddings, fingerprint)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_npz(
    path: Path,
    names: Sequence[str],
    embeddings: Float32[np.ndarray, "clips dim"],
    fingerprint: str,
) -> None:
    np.savez(
        path,
        names=np.array(names, dtype=np.str_),
        embeddings=embeddings,
        fingerprint=np.array(fingerprint),
    )


def _write_parquet(
    path: Path,
    names: Sequence[str],
    embeddings: Float32[np.ndarray, "clips dim"],
    fingerprint: str,
) -> None:
    # PyArrow is the optional extra `parquet`.
    import pyarrow
    import pyarrow.parquet

    values = pyarrow.array(embeddings.reshape(-1), pyarrow.float32())
    columns = {
        "name": pyarrow.array(names, pyarrow.string()),
        "embedding": pyarrow.FixedSizeListArray.from_arrays(values, embeddings.shape[1]),
        "fingerprint": pyarrow.repeat(fingerprint, len(names)).dictionary_encode(),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
