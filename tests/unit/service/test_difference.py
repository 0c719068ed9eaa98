from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Float32

from service.difference import (
    centre,
    centred_cosine,
    difference_query,
    mean_reference,
    relative_norm,
    remainder,
    spread,
)

# Rounding of single precision over a few thousand values.
TOLERANCE = 1e-5


@pytest.fixture
def vectors() -> Float32[np.ndarray, "three dim"]:
    """Make a mixture, a reference and a mean; embeddings are non-negative."""
    return np.abs(np.random.default_rng(0).standard_normal((3, 3072))).astype(np.float32)


def test_centred_vectors_have_unit_length(vectors: np.ndarray) -> None:
    centred = centre(vectors[:2], vectors[2])
    assert centred.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(centred, axis=1), 1, atol=TOLERANCE)


def test_centring_many_equals_centring_each(vectors: np.ndarray) -> None:
    *embeddings, mean = vectors
    together = centre(np.stack(embeddings), mean)
    np.testing.assert_array_equal(together, [centre(e, mean) for e in embeddings])


def test_the_mean_itself_centres_to_zero_without_a_warning(vectors: np.ndarray) -> None:
    mean = vectors[2]
    assert not centre(mean, mean).any()


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_the_query_is_the_formula_of_its_docstring(vectors: np.ndarray, weight: float) -> None:
    mixture, reference, mean = vectors
    expected = (mixture - np.float64(weight) * reference) - (1 - weight) * mean
    found = difference_query(mixture, reference, mean, weight)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=TOLERANCE)


def test_at_weight_one_the_mean_has_no_effect_and_swapping_changes_the_sign(
    vectors: np.ndarray,
) -> None:
    mixture, reference, mean = vectors
    forward = difference_query(mixture, reference, mean, 1)
    np.testing.assert_array_equal(difference_query(reference, mixture, mean, 1), -forward)
    np.testing.assert_array_equal(difference_query(mixture, reference, 0 * mean, 1), forward)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_the_difference_of_equal_embeddings_is_exactly_zero(
    vectors: np.ndarray, weight: float
) -> None:
    mixture, _, mean = vectors
    assert not difference_query(mixture, mixture.copy(), mean, weight).any()
    assert relative_norm(mixture, mixture.copy()) == 0.0
    assert centred_cosine(mixture, mixture.copy(), mean) == 1.0


def test_relative_norm_is_symmetric_and_does_not_depend_on_the_scale(vectors: np.ndarray) -> None:
    a, b, _ = vectors
    assert relative_norm(a, b) == pytest.approx(relative_norm(b, a), rel=1e-6)
    assert relative_norm(3 * a, 3 * b) == pytest.approx(relative_norm(a, b), rel=1e-6)
    assert relative_norm(4 * a, a) == pytest.approx(3 / 2, rel=1e-6)


def test_relative_norm_of_zero_embeddings_stays_finite(vectors: np.ndarray) -> None:
    zero = np.zeros_like(vectors[0])
    assert relative_norm(zero, zero) == 0.0
    assert np.isfinite(relative_norm(vectors[0], zero))


def test_centred_cosine_is_relative_to_the_mean() -> None:
    mean = np.full(100, 10, np.float32)
    step = np.zeros(100, np.float32)
    step[0] = 1
    assert centred_cosine(mean + step, mean - step, mean) == -1.0
    assert centred_cosine(mean + step, mean + 2 * step, mean) == pytest.approx(1.0)
    assert centred_cosine(mean + step, mean, mean) == 0.0


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.85, 1.0])
def test_the_centred_remainder_is_the_query(vectors: np.ndarray, weight: float) -> None:
    mixture, reference, mean = vectors
    rest = remainder(mixture, reference, mean, weight)
    assert rest.dtype == np.float32
    np.testing.assert_allclose(
        centre(rest, mean), difference_query(mixture, reference, mean, weight), atol=TOLERANCE
    )


def test_subtracting_the_mean_or_nothing_leaves_the_mixture(vectors: np.ndarray) -> None:
    mixture, reference, mean = vectors
    np.testing.assert_array_equal(remainder(mixture, mean, mean, 0.7), mixture)
    np.testing.assert_array_equal(remainder(mixture, reference, mean, 0), mixture)


def test_the_mean_of_equal_references_is_exactly_equal_to_them(vectors: np.ndarray) -> None:
    for n in (1, 2, 3, 7):
        assert np.array_equal(mean_reference([vectors[0]] * n), vectors[0])


def test_the_mean_does_not_depend_on_the_order(vectors: np.ndarray) -> None:
    mean = mean_reference(list(vectors))
    np.testing.assert_allclose(mean_reference(list(vectors[::-1])), mean, rtol=1e-6)
    np.testing.assert_allclose(mean, vectors.astype(np.float64).mean(axis=0), rtol=1e-6)


def test_the_spread_of_two_references_is_their_distance_over_the_root_of_two(
    vectors: np.ndarray,
) -> None:
    mixture, one, other = vectors
    scale = np.sqrt(np.linalg.norm(mixture) * np.linalg.norm((one + other) / 2))
    expected = np.linalg.norm(one - other) / np.sqrt(2) / scale

    assert spread(mixture, [one, other]) == pytest.approx(float(expected), rel=1e-5)


def test_one_reference_has_no_spread_and_equal_ones_have_spread_zero(vectors: np.ndarray) -> None:
    assert spread(vectors[0], [vectors[1]]) is None
    assert spread(vectors[0], [vectors[1]] * 3) == 0
    zero = np.zeros(4, np.float32)
    assert spread(zero, [zero, zero]) == 0
