from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_bundle
import tiny_towers
from tiny_bundle import rename

from service.bundle.files import Bundle, hash_file, load_bundle, write_manifest
from service.bundle.manifest import BundleManifest
from service.errors import BundleError
from service.inference.towers import CACHED_TEXTS, ROWS, EncodedText, Towers


@pytest.fixture(scope="module")
def bundle(towers_bundle_path: Path) -> Bundle:
    return load_bundle(towers_bundle_path)


@pytest.fixture
def towers(bundle: Bundle) -> Towers:
    return opened(bundle)


def opened(bundle: Bundle) -> Towers:
    towers = Towers.open(bundle, device="cpu", threads=1)
    assert towers is not None
    return towers


def encoded(towers: Towers, text: str) -> EncodedText:
    found = towers.text.encode(text)
    assert found is not None
    return found


def embeddings(n: int) -> np.ndarray:
    return np.random.default_rng(n).gamma(1.0, 2.0, (n, 8)).astype(np.float32)


def test_a_bundle_without_towers_has_none(tiny_bundle_path: Path) -> None:
    assert Towers.open(load_bundle(tiny_bundle_path)) is None


def test_the_known_answer_is_reproduced(bundle: Bundle, towers: Towers) -> None:
    towers.check(bundle)


@pytest.mark.parametrize("n", [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS + 5])
def test_vectors_are_those_of_the_graph(bundle: Bundle, towers: Towers, n: int) -> None:
    vectors = towers.audio.vectors(embeddings(n))

    assert (vectors.shape, vectors.dtype) == ((n, 12), np.float32)
    expected = tiny_towers.project(bundle.path, embeddings(n))
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_the_vector_of_a_text_is_that_of_the_graph(bundle: Bundle, towers: Towers) -> None:
    found = encoded(towers, "a low with high")

    assert not found.is_cut
    expected = tiny_towers.encode_text(bundle.path, "a low with high")
    np.testing.assert_allclose(found.vector, expected, atol=1e-6)


def test_a_long_text_has_the_vector_of_its_start(towers: Towers) -> None:
    n_words = tiny_towers.MAX_TOKENS - 2
    long = encoded(towers, "low " * (n_words + 1) + "high")
    short = encoded(towers, "low " * n_words)

    assert (long.is_cut, short.is_cut) == (True, False)
    np.testing.assert_array_equal(long.vector, short.vector)


def test_a_text_without_words_has_no_vector(towers: Towers) -> None:
    assert towers.text.encode("") is None
    assert towers.text.encode("\x00 \x1b") is None


def test_a_limited_number_of_texts_is_cached(towers: Towers) -> None:
    first = encoded(towers, "low")
    assert encoded(towers, "low") is first
    for n in range(CACHED_TEXTS):
        towers.text.encode(f"low {n}")

    again = encoded(towers, "low")

    assert again is not first
    np.testing.assert_array_equal(again.vector, first.vector)


def test_a_cached_vector_cannot_be_changed(towers: Towers) -> None:
    with pytest.raises(ValueError, match="read-only"):
        encoded(towers, "low").vector[0] = 1


def test_many_threads_may_use_the_towers(towers: Towers) -> None:
    texts = [f"low {'high ' * (n % 5)}" for n in range(64)]
    expected = [towers.text._encode(text) for text in texts]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(towers.text.encode, texts))

    for one, other in zip(found, expected, strict=True):
        assert one is not None
        assert other is not None
        np.testing.assert_array_equal(one.vector, other.vector)


Change = Callable[[Path], None]


def relist(path: Path) -> Bundle:
    """Make the manifest agree with the files again."""
    manifest = BundleManifest.model_validate_json((path / "bundle.json").read_bytes())
    files = {name: hash_file(path / name) for name in manifest.files}
    write_manifest(path, manifest.model_copy(update={"files": files}))
    return load_bundle(path)


def changed_graph(name: str, change: Callable[[onnx.ModelProto], Any]) -> Change:
    def apply(path: Path) -> None:
        model = onnx.load(path / name)
        change(model)
        onnx.save(model, path / name)

    return apply


def fix_axis(value: onnx.ValueInfoProto, axis: int, size: int) -> None:
    value.type.tensor_type.shape.dim[axis].dim_value = size


AUDIO, TEXT = tiny_towers.AUDIO_TOWER_FILE, tiny_towers.TEXT_ENCODER_FILE


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            changed_graph(AUDIO, lambda m: rename(m, "embedding", "x")),
            "input embedding is missing",
        ),
        (
            changed_graph(AUDIO, lambda m: rename(m, "vector", "y")),
            "output vector is missing",
        ),
        (
            changed_graph(AUDIO, lambda m: fix_axis(m.graph.input[0], 0, 1)),
            r"input embedding is float32 \(1, 8\), must be float32 \[any, 8\]",
        ),
        (
            changed_graph(TEXT, lambda m: rename(m, "input_ids", "ids")),
            "input_ids is missing",
        ),
        (
            changed_graph(TEXT, lambda m: rename(m, "attention_mask", "mask_")),
            "input attention_mask is missing",
        ),
        (
            changed_graph(TEXT, lambda m: fix_axis(m.graph.input[0], 1, 8)),
            r"input input_ids is int64 .* must be int64 \[any, any\]",
        ),
        (lambda path: (path / AUDIO).write_bytes(b"words"), "cannot be loaded"),
        (lambda path: (path / TEXT).write_bytes(b"words"), "cannot be loaded"),
        (
            lambda path: (path / tiny_towers.TOKENIZER_FILE).write_bytes(b"words"),
            "no tokeniser",
        ),
        (
            lambda path: (path / tiny_towers.TEXT_BANK_FILE).write_bytes(b"words"),
            "no text bank",
        ),
    ],
)
def test_files_that_break_the_contract_are_refused_by_name(
    tmp_path: Path, change: Change, fault: str
) -> None:
    path = tiny_bundle.write(tmp_path, towers=0)
    change(path)

    with pytest.raises(BundleError, match=fault):
        Towers.open(relist(path))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"audio_vector": 1.01}, "audio tower vector .* deviates"),
        ({"text_vector": 1.01}, "text vector .* deviates"),
        ({"text": None}, "holds no known answer"),
    ],
)
def test_another_answer_than_the_known_one_is_refused(
    tmp_path: Path, changes: dict[str, float | None], fault: str
) -> None:
    path = tiny_bundle.write(tmp_path, towers=0)
    file = path / tiny_towers.KNOWN_ANSWER_FILE
    with np.load(file) as stored:
        arrays = dict(stored)
    for name, factor in changes.items():
        if factor is None:
            del arrays[name]
        else:
            arrays[name] = arrays[name] * np.float32(factor)
    np.savez(file, **arrays)
    bundle = relist(path)

    with pytest.raises(BundleError, match=fault):
        opened(bundle).check(bundle)
