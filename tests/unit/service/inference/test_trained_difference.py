from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_difference

from service.bundle.files import Bundle, hash_file, load_bundle, write_manifest
from service.errors import BundleError
from service.inference.embedding_space import make_space
from service.inference.towers import Towers


@pytest.fixture(scope="module")
def folder(towers_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("difference") / "towers"
    return tiny_difference.add(Path(shutil.copytree(towers_bundle_path, path)))


@pytest.fixture
def bundle(folder: Path) -> Bundle:
    return load_bundle(folder)


def opened(bundle: Bundle) -> Towers:
    towers = Towers.open(bundle, device="cpu", threads=1)
    assert towers is not None
    return towers


def sounds(n: int = 2) -> np.ndarray:
    return np.random.default_rng(0).gamma(1.0, 2.0, (n, 8)).astype(np.float32)


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_differences_are_those_of_the_graph(bundle: Bundle, weight: float) -> None:
    mixture, reference = sounds()
    space = make_space(bundle, opened(bundle).audio)
    found = space.project_difference(mixture, reference, weight)
    rest = mixture - np.float32(weight) * reference
    expected = rest @ tiny_difference.matrix(space.dim, 8)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_equal_sounds_have_no_difference(bundle: Bundle) -> None:
    space = make_space(bundle, opened(bundle).audio)
    for sound in sounds(4):
        assert not space.project_difference(sound, sound.copy(), 0.3).any()


def test_sounds_alone_are_projected_by_the_audio_tower(
    bundle: Bundle, towers_bundle_path: Path
) -> None:
    plain = load_bundle(towers_bundle_path)
    spaces = [make_space(each, opened(each).audio) for each in (bundle, plain)]
    found, expected = (space.project(sounds(5)) for space in spaces)
    np.testing.assert_array_equal(found, expected)


def test_a_bundle_without_one_uses_the_weighted_subtraction(towers_bundle_path: Path) -> None:
    plain = load_bundle(towers_bundle_path)
    assert not opened(plain).audio.has_difference
    assert opened(plain).info.difference is None


def test_its_known_answer_is_checked(folder: Path, tmp_path: Path) -> None:
    opened(load_bundle(folder)).check(load_bundle(folder))
    path = Path(shutil.copytree(folder, tmp_path / "towers"))
    bundle = load_bundle(path)
    info = bundle.manifest.towers
    assert info is not None
    with np.load(path / info.known_answer.file) as stored:
        known = {name: stored[name] for name in stored.files}
    known["difference_vector"] = known["difference_vector"] + 1
    np.savez(path / info.known_answer.file, **known)
    files = {info.known_answer.file: hash_file(path / info.known_answer.file)}
    manifest = bundle.manifest
    write_manifest(path, manifest.model_copy(update={"files": dict(manifest.files) | files}))
    changed = load_bundle(path)
    with pytest.raises(BundleError, match="the difference vector"):
        opened(changed).check(changed)


def test_a_graph_with_other_inputs_is_refused(folder: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(folder, tmp_path / "towers"))
    bundle = load_bundle(path)
    info = bundle.manifest.towers
    assert info is not None
    shutil.copy(path / info.audio_tower, path / tiny_difference.FILE)
    files = {tiny_difference.FILE: hash_file(path / tiny_difference.FILE)}
    manifest = bundle.manifest
    write_manifest(path, manifest.model_copy(update={"files": dict(manifest.files) | files}))
    with pytest.raises(BundleError, match="mixture"):
        opened(load_bundle(path))
