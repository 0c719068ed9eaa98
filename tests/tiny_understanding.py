"""Understanding for the small towers of the tests: a word of a sound has the change before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import tiny_towers
from onnx import TensorProto, helper
from tokenizers import Tokenizer

from service.bundle import files, manifest
from service.bundle.understanding import CompositionWeights, UnderstandingInfo
from service.inference.novelty import N_STATISTICS, NoveltyDetector, round_embeddings
from service.inference.towers import Towers, describe_sounds
from service.inference.understanding import CHANGES, TAGS, Change

NOVELTY_FILE = "novelty.npz"
CHANGE_OF: dict[str, Change] = {
    "with": "add",
    "without": "remove",
    "louder": "louder",
    "quieter": "quieter",
    "more": "more",
    "less": "less",
}
"""The change of the sound that follows a word; after any other word it is only described."""


def add(path: Path, weights: CompositionWeights | None = None) -> Path:
    """Let the towers of a bundle understand texts; a text is unknown if it has an unknown word.

    Args:
        path: A bundle with towers; it is changed.
        weights: Weights of the sounds of a text.
    """
    words = Tokenizer.from_file(str(path / tiny_towers.TOKENIZER_FILE)).get_vocab()
    graph = onnx.load(path / tiny_towers.TEXT_ENCODER_FILE).graph
    other = {*tiny_towers.SPECIAL, *tiny_towers.OTHER_WORDS}
    sounds = [word for word in words if word not in other]
    _tag(graph, words, sounds)
    tiny_towers.save_graph(path / tiny_towers.TEXT_ENCODER_FILE, graph)
    statistics = np.zeros(N_STATISTICS, np.float32)
    statistics[3] = 20.0  # the share of unknown words
    embeddings = np.random.default_rng(0).normal(size=(6, tiny_towers.HIDDEN)).astype(np.float32)
    NoveltyDetector(
        phrases=(*sounds, *(f"other {i}" for i in range(6 - len(sounds)))),
        levels=round_embeddings(embeddings),
        weights=np.concatenate([np.zeros(tiny_towers.HIDDEN, np.float32), statistics]),
        bias=-5.0,
        threshold=0.5,
    ).write(path / NOVELTY_FILE)
    about = manifest.BundleManifest.model_validate_json((path / "bundle.json").read_bytes())
    assert about.towers is not None
    info = about.towers.model_copy(
        update={
            "understanding": UnderstandingInfo(
                tags=TAGS,
                novelty=NOVELTY_FILE,
                weights=weights or CompositionWeights(),
                recipe={"name": "tiny"},
                recipe_sha256="0" * 64,
                commit="0" * 40,
                names=6,
                scores={"exact": 1.0},
            )
        }
    )
    relist(path, about.model_copy(update={"towers": info}))
    _store_known_answer(path)
    return path


def relist(path: Path, about: manifest.BundleManifest) -> None:
    """Write a manifest with the present hashes of its files."""
    names = {*about.files, *(about.towers.files if about.towers else ())}
    listed = {name: files.hash_file(path / name) for name in sorted(names)}
    files.write_manifest(path, about.model_copy(update={"files": listed}))


def _store_known_answer(path: Path) -> None:
    bundle = files.load_bundle(path)
    towers = Towers.open(bundle, device="cpu", threads=1)
    assert towers is not None
    with np.load(path / tiny_towers.KNOWN_ANSWER_FILE) as stored:
        arrays = dict(stored)
    encoded = towers.text.encode(str(arrays["text"]))
    assert encoded is not None
    assert encoded.novelty is not None
    arrays["sounds"] = np.array(describe_sounds(encoded.sounds), np.str_)
    arrays["unknown"] = np.array(encoded.novelty.probability)
    np.savez(path / tiny_towers.KNOWN_ANSWER_FILE, **arrays)
    relist(path, bundle.manifest)


def _tag(graph: onnx.GraphProto, words: dict[str, int], sounds: list[str]) -> None:
    """Add `text_embedding` and `tags`: sounds by the word itself, changes by the word before."""
    changes = np.zeros((len(words), len(TAGS)), np.float32)
    for word, number in words.items():
        changes[number, 1 + 2 * CHANGES.index(CHANGE_OF.get(word, "describe"))] = 1
    is_sound = np.zeros((len(words), 1), np.float32)
    is_sound[[words[word] for word in sounds]] = 1
    outside = np.eye(1, len(TAGS), dtype=np.float32)
    constants = {
        "changes": changes,
        "is_sound": is_sound,
        "outside": outside,
        "start": np.array([0]),
        "end": np.array([-1]),
        "one_token": np.array([0, 1, 0, 0]),
        "one": np.array(1, np.float32),
    }
    graph.initializer.extend(tiny_towers.initializers(constants))
    graph.node.extend(
        [
            helper.make_node("Slice", ["input_ids", "start", "end", "axis_1"], ["shortened"]),
            helper.make_node("Pad", ["shortened", "one_token"], ["previous"]),
            helper.make_node("Gather", ["changes", "previous"], ["change"]),
            helper.make_node("Gather", ["is_sound", "input_ids"], ["sound"]),
            helper.make_node("Sub", ["one", "sound"], ["no_sound"]),
            helper.make_node("Mul", ["change", "sound"], ["inside"]),
            helper.make_node("Mul", ["no_sound", "outside"], ["others"]),
            helper.make_node("Add", ["inside", "others"], ["tags"]),
            helper.make_node("Identity", ["average"], ["text_embedding"]),
        ]
    )
    graph.output.extend(
        [
            tiny_towers.value("text_embedding", TensorProto.FLOAT, ["batch", tiny_towers.HIDDEN]),
            tiny_towers.value("tags", TensorProto.FLOAT, ["batch", "tokens", len(TAGS)]),
        ]
    )
