from __future__ import annotations

import base64
import io
import math

import numpy as np
import pytest

from service.api.vector_encoding import parse_vector, to_base64, to_json, to_npy
from service.difference import check_dim
from service.errors import EmbeddingInvalidError

VECTOR = np.array([0.5, -2.0, 1e-3], np.float32)


def test_base64_brings_every_bit_back() -> None:
    assert parse_vector(to_base64(VECTOR)).tobytes() == VECTOR.tobytes()


def test_base64_is_little_endian_float32() -> None:
    assert to_base64(np.array([1.0], np.float32)) == base64.b64encode(b"\0\0\x80\x3f").decode()


def test_a_list_of_numbers_is_read_as_float32() -> None:
    vector = parse_vector([1, 0.1])

    assert vector.dtype == np.float32
    assert vector.tolist() == [1.0, pytest.approx(0.1)]


def test_npy_brings_every_bit_back() -> None:
    assert np.load(io.BytesIO(to_npy(VECTOR))).tobytes() == VECTOR.tobytes()


def test_json_keeps_numbers_or_takes_base64() -> None:
    assert to_json(VECTOR, "base64") == to_base64(VECTOR)
    assert np.array_equal(to_json(VECTOR, "json"), VECTOR)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([], id="empty list"),
        pytest.param("", id="empty text"),
        pytest.param("not base64!", id="not base64"),
        pytest.param(base64.b64encode(b"12345").decode(), id="not whole floats"),
        pytest.param([1.0, "2"], id="text in a list"),
        pytest.param([1.0, True], id="boolean in a list"),
        pytest.param([[1.0]], id="nested list"),
        pytest.param([math.nan], id="NaN"),
        pytest.param([math.inf], id="infinity"),
        pytest.param([1e300], id="beyond float32"),
        pytest.param([70_000.0], id="beyond half precision"),
        pytest.param(base64.b64encode(b"\0\0\xc0\x7f").decode(), id="NaN in base64"),
        pytest.param({"values": [1.0]}, id="object"),
        pytest.param(3, id="number"),
    ],
)
def test_an_invalid_embedding_is_refused(value: object) -> None:
    with pytest.raises(EmbeddingInvalidError, match="embedding"):
        parse_vector(value)


def test_a_vector_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(EmbeddingInvalidError, match=r"3 values.*have 8"):
        check_dim(VECTOR, 8)
    assert check_dim(VECTOR, 3) is VECTOR
