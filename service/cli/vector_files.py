"""Files of embeddings for other programs, as .npz or .parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from service.concurrency.durable import atomic_write


def write_vectors(
    path: Path,
    names: Sequence[str],
    embeddings: Float32[np.ndarray, "clips dim"],
    *,
    fingerprint: str,
) -> None:
    """Write named embeddings atomically, in the format of the suffix of the path.

    `.npz` holds the arrays `names` [clips], `embeddings` float32 [clips, dim] and `fingerprint`.
    `.parquet` has the columns `name`, `embedding` (fixed-size list of float32) and `fingerprint`.

    Args:
        path: The file to create or replace.
        names: Name of each embedding.
        embeddings: Raw embeddings.
        fingerprint: Fingerprint of their encoder.

    Raises:
        ImportError: The suffix is .parquet and PyArrow is not installed.
        OSError: The file cannot be written.
    """
    write = _write_parquet if path.suffix == ".parquet" else _write_npz
    with atomic_write(path) as file:
        write(file, names, embeddings, fingerprint)


def _write_npz(
    file: BinaryIO,
    names: Sequence[str],
    embeddings: Float32[np.ndarray, "clips dim"],
    fingerprint: str,
) -> None:
    np.savez(
        file,
        names=np.array(names, dtype=np.str_),
        embeddings=embeddings,
        fingerprint=np.array(fingerprint),
    )


def _write_parquet(
    file: BinaryIO,
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
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
