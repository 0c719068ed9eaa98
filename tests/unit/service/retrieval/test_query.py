from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from service.retrieval.query import compose

NAMES = ("audio", "modifier", "more")


def draw(seed: int, n_terms: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    scale = rng.uniform(1e-3, 1e3, (n_terms, 1))
    vectors = (scale * rng.normal(size=(n_terms, 32))).astype(np.float32)
    return dict(zip(NAMES, vectors, strict=False))


@given(seed=st.integers(0, 2**32 - 1), n_terms=st.integers(1, 3))
def test_terms_of_the_query_add_up_to_it_and_it_has_length_one(seed: int, n_terms: int) -> None:
    terms = draw(seed, n_terms)

    query = compose(terms)

    expected = np.sum(list(terms.values()), axis=0, dtype=np.float64)
    np.testing.assert_allclose(query.vector, expected / np.linalg.norm(expected), atol=1e-5)
    np.testing.assert_allclose(np.sum(list(query.terms.values()), axis=0), query.vector, atol=1e-5)
    assert list(query.terms) == list(terms)


@given(seed=st.integers(0, 2**32 - 1), n_terms=st.integers(1, 3))
def test_shares_of_any_item_add_up_to_its_score(seed: int, n_terms: int) -> None:
    query = compose(draw(seed, n_terms))
    item = np.random.default_rng(seed + 1).normal(size=32).astype(np.float32)
    item /= np.linalg.norm(item)

    shares = [float(term @ item) for term in query.terms.values()]

    assert sum(shares) == pytest.approx(float(query.vector @ item), abs=1e-5)


def test_a_lone_term_keeps_its_direction() -> None:
    query = compose({"audio": np.array([3, 4], np.float32)})

    np.testing.assert_allclose(query.vector, [0.6, 0.8])


def test_terms_that_cancel_leave_zero_and_no_nan() -> None:
    one = np.ones(4, np.float32)

    query = compose({"audio": one, "modifier": -one})

    assert not query.vector.any()
    assert not any(term.any() for term in query.terms.values())
