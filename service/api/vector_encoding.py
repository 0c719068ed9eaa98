"""Encodings of embeddings: lists of numbers, base64 of little-endian float32, or npy."""

from __future__ import annotations

import base64
import io
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64

from service.difference import LARGEST, fits
from service.errors import EmbeddingInvalidError

Encoding = Literal["json", "base64"]


def parse_vector(value: object) -> Float32[np.ndarray, " dim"]:
    """Read an embedding of a request.

    Args:
        value: A list of numbers, or base64 text of little-endian float32.

    Raises:
        EmbeddingInvalidError: It is neither, or a value is not finite or beyond half precision.
    """
    numbers = _from_base64(value) if isinstance(value, str) else _from_list(value)
    if not fits(numbers):
        raise EmbeddingInvalidError(f"embedding: every value must be finite and within ±{LARGEST}")
    return numbers.astype(np.float32)


def to_base64(vector: Float32[np.ndarray, ...]) -> str:
    """Encode an array as base64 of its values in little-endian float32, row by row."""
    return base64.b64encode(np.ascontiguousarray(vector, dtype="<f4").tobytes()).decode("ascii")


def to_json(
    vector: Float32[np.ndarray, " dim"], encoding: Encoding
) -> Float32[np.ndarray, " dim"] | str:
    """Return an embedding for a JSON response: as numbers or as base64 text."""
    return to_base64(vector) if encoding == "base64" else np.ascontiguousarray(vector)


def to_npy(array: Float32[np.ndarray, ...]) -> bytes:
    """Encode an array as the bytes of an npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _from_base64(text: str) -> Float32[np.ndarray, " dim"]:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise EmbeddingInvalidError(f"embedding: not base64: {error}") from error
    if not data or len(data) % 4:
        raise EmbeddingInvalidError(
            f"embedding: base64 of float32 values has 4 bytes for each, this has {len(data)} bytes"
        )
    return np.frombuffer(data, dtype="<f4")


def _from_list(value: object) -> Float64[np.ndarray, " dim"]:
    if not isinstance(value, list) or not value:
        raise EmbeddingInvalidError("embedding: must be a list of numbers or base64 of float32")
    if not all(type(number) in (int, float) for number in value):
        raise EmbeddingInvalidError("embedding: a value of the list is not a number")
    return np.array([float(number) for number in value], dtype=np.float64)
