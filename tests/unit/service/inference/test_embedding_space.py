from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.bundle.files import Bundle, load_bundle
from service.difference import centre, difference_query, l2_normalize, remainder
from service.inference.embedding_space import CentredSpace, Space, items, make_space
from service.inference.towers import AudioTower

MEAN = np.linspace(1, 2, 8, dtype=np.float32)


@pytest.fixture
def bundle(towers_bundle_path: Path) -> Bundle:
    return load_bundle(towers_bundle_path)


@pytest.fixture
def tower(bundle: Bundle) -> AudioTower:
    info = bundle.manifest.towers
    assert info is not None
    return AudioTower.open(bundle, info, device="cpu", threads=1)


@pytest.fixture(params=["centred", "towers"])
def space(request: pytest.FixtureRequest, bundle: Bundle, tower: AudioTower) -> Space:
    return make_space(bundle, tower if request.param == "towers" else None)


@pytest.fixture
def embeddings() -> np.ndarray:
    return np.random.default_rng(0).gamma(1.0, 2.0, (40, 8)).astype(np.float32)


def test_without_towers_items_are_the_centred_embeddings(
    bundle: Bundle, embeddings: np.ndarray
) -> None:
    space = make_space(bundle, None)

    np.testing.assert_array_equal(items(space, embeddings), centre(embeddings, bundle.mean))
    assert (space.dim, space.embedding_dim) == (8, 8)


def test_with_towers_items_are_the_vectors_of_the_audio_tower(
    bundle: Bundle, tower: AudioTower, embeddings: np.ndarray
) -> None:
    space = make_space(bundle, tower)

    np.testing.assert_array_equal(items(space, embeddings), l2_normalize(tower.vectors(embeddings)))
    assert (space.dim, space.embedding_dim) == (12, 8)


def test_a_difference_is_projected_as_in_the_search_by_difference(
    bundle: Bundle, tower: AudioTower, embeddings: np.ndarray
) -> None:
    mixture, reference = embeddings[:2]

    centred = make_space(bundle, None).project_difference(mixture, reference, 0.5)
    projected = make_space(bundle, tower).project_difference(mixture, reference, 0.5)

    query = difference_query(mixture, reference, bundle.mean, 0.5)
    np.testing.assert_array_equal(l2_normalize(centred), query)
    rest = remainder(mixture, reference, bundle.mean, 0.5)
    np.testing.assert_array_equal(projected, tower.vectors(rest[np.newaxis])[0])


def test_items_have_length_one_and_bits_that_do_not_depend_on_other_rows(
    space: Space, embeddings: np.ndarray
) -> None:
    together = items(space, embeddings)

    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for n in (1, 2, 17, 39):
        np.testing.assert_array_equal(items(space, embeddings[n:]), together[n:])
    assert items(space, embeddings[:0]).shape == (0, space.dim)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_the_difference_of_equal_sounds_is_exactly_zero(
    space: Space, embeddings: np.ndarray, weight: float
) -> None:
    difference = space.project_difference(embeddings[0], embeddings[0].copy(), weight)

    assert difference.shape == (space.dim,)
    assert not difference.any()


def test_spaces_with_other_projections_have_other_identities(
    bundle: Bundle, tower: AudioTower
) -> None:
    assert bundle.manifest.towers is not None
    towers = make_space(bundle, tower)
    other = replace_fingerprint(bundle, tower)
    identities = [
        CentredSpace("e", MEAN).identity,
        CentredSpace("e", MEAN + 1).identity,
        towers.identity,
        other.identity,
    ]

    assert len(set(identities)) == 4
    assert towers.fingerprint == bundle.manifest.encoder.fingerprint


def replace_fingerprint(bundle: Bundle, tower: AudioTower) -> Space:
    """Return the space of towers that differ only in their fingerprint."""
    info = bundle.manifest.towers
    assert info is not None
    renamed = info.model_copy(update={"fingerprint": "f" * 64})
    manifest = bundle.manifest.model_copy(update={"towers": renamed})
    named = replace(bundle, manifest=manifest)
    return make_space(named, AudioTower.open(named, renamed, device="cpu", threads=1))
