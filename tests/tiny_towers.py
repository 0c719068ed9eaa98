"""Small towers for the small bundle of the tests, made with onnx only.

The audio tower separates the positive and the negative part of an embedding minus the mean. The
text encoder averages word vectors. The vector of a word is that of the sound that it names, so that
a text finds its sounds; other words have small random vectors.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from jaxtyping import Float32
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from service.bundle import manifest
from service.difference import l2_normalize
from service.inference import onnx_session as runtime

AUDIO_TOWER_FILE = "audio_tower.onnx"
TEXT_ENCODER_FILE = "text_encoder.onnx"
TOKENIZER_FILE = "tokenizer.json"
TEXT_BANK_FILE = "text_bank.json"
KNOWN_ANSWER_FILE = "towers_known_answer.npz"
MAX_TOKENS = 8
HIDDEN = 16
SPECIAL = ("[UNK]", "[CLS]", "[SEP]")
OTHER_WORDS = ("a", "with", "without", "louder", "quieter", "more", "less")


def write(
    path: Path,
    sounds: Mapping[str, Float32[np.ndarray, " embedding_dim"]],
    mean: Float32[np.ndarray, " embedding_dim"],
    *,
    encoder: str,
    seed: int = 0,
    dim: int = 12,
) -> manifest.TowersInfo:
    """Write the files of the towers into a bundle.

    Args:
        path: Directory of the bundle.
        sounds: Raw embedding of the sound that each word names.
        mean: Mean embedding.
        encoder: Fingerprint of the encoder.
        seed: Seed of the random rotation of the space.
        dim: Length of a vector; more than an embedding has values.
    """
    rng = np.random.default_rng(seed)
    save_graph(path / AUDIO_TOWER_FILE, _audio_tower(rng, mean, dim))
    embeddings = np.stack(list(sounds.values()))
    vectors = project(path, embeddings)
    words = dict(zip(sounds, vectors, strict=True))
    vocabulary = [*SPECIAL, *words, *OTHER_WORDS]
    table = rng.normal(0, 0.05, (len(vocabulary), dim)).astype(np.float32)
    # Averaged with the two special tokens they are as long as those of sounds.
    length = 3 * np.linalg.norm(vectors, axis=1).mean()
    table[len(SPECIAL) : len(SPECIAL) + len(words)] = length * l2_normalize(vectors)
    save_graph(path / TEXT_ENCODER_FILE, _text_encoder(rng, table))
    _tokenizer(vocabulary).save(str(path / TOKENIZER_FILE))
    _write_bank(path / TEXT_BANK_FILE, words)
    text = f"a {vocabulary[len(SPECIAL)]} louder"
    np.savez(
        path / KNOWN_ANSWER_FILE,
        embedding=embeddings[0],
        text=np.array(text),
        audio_vector=project(path, embeddings[:1])[0],
        text_vector=encode_text(path, text),
    )
    return _info(encoder, seed, dim)


def project(path: Path, embeddings: np.ndarray) -> np.ndarray:
    """Run the audio tower of a bundle without the service."""
    session = runtime.open_session(path / AUDIO_TOWER_FILE, device="cpu", threads=1)
    return session.run({"embedding": embeddings}, ["vector"])[0]


def encode_text(path: Path, text: str) -> np.ndarray:
    """Run tokeniser and text encoder of a bundle without the service; the text is not cut."""
    ids = np.array([Tokenizer.from_file(str(path / TOKENIZER_FILE)).encode(text).ids])
    session = runtime.open_session(path / TEXT_ENCODER_FILE, device="cpu", threads=1)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    vector: np.ndarray = session.run(inputs, ["vector"])[0][0]
    return vector


def _audio_tower(rng: np.random.Generator, mean: np.ndarray, dim: int) -> onnx.GraphProto:
    """Split (embedding - mean) into its positive and its negative part, in rotated directions."""
    rotation = np.linalg.qr(rng.normal(size=(dim, dim)))[0][: mean.size]
    weight = np.concatenate([rotation, -rotation], axis=1).astype(np.float32)
    constants = {
        "weight": weight,
        "bias": (-mean @ weight).astype(np.float32),
        "folding": np.linalg.qr(rng.normal(size=(2 * dim, 2 * dim)))[0][:, :dim].astype(np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["embedding", "weight"], ["rotated"]),
        helper.make_node("Add", ["rotated", "bias"], ["centred"]),
        helper.make_node("Relu", ["centred"], ["positive"]),
        helper.make_node("MatMul", ["positive", "folding"], ["vector"]),
    ]
    inputs = [value("embedding", TensorProto.FLOAT, ["batch", mean.size])]
    outputs = [value("vector", TensorProto.FLOAT, ["batch", dim])]
    return helper.make_graph(nodes, "audio tower", inputs, outputs, initializers(constants))


def _text_encoder(rng: np.random.Generator, table: np.ndarray) -> onnx.GraphProto:
    """Average the vectors of the words, stored in a wider space."""
    dim = table.shape[1]
    basis = np.linalg.qr(rng.normal(size=(HIDDEN, dim)))[0].astype(np.float32)
    constants = {"table": table @ basis.T, "weight": basis, "axis_1": np.array([1])}
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "constant_2"], ["mask_column"]),
        helper.make_node("Mul", ["words", "mask_column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "axis_1"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "axis_1"], ["count"], keepdims=1),
        helper.make_node("Div", ["total", "count"], ["average"]),
        helper.make_node("MatMul", ["average", "weight"], ["vector"]),
    ]
    constants["constant_2"] = np.array([2])
    inputs = [
        value(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [value("vector", TensorProto.FLOAT, ["batch", dim])]
    return helper.make_graph(nodes, "text encoder", inputs, outputs, initializers(constants))


def _tokenizer(vocabulary: list[str]) -> Tokenizer:
    numbers = {word: number for number, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, numbers[name]) for name in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def _write_bank(path: Path, words: Mapping[str, np.ndarray]) -> None:
    phrases = [
        {
            "phrase": f"a {word} sound",
            "label": word,
            "kind": "background" if word == "noise" else "event",
            "vector": base64.b64encode(l2_normalize(vector).astype("<f4").tobytes()).decode(),
        }
        for word, vector in words.items()
    ]
    path.write_text(json.dumps({"phrases": phrases}), encoding="utf-8")


def _info(encoder: str, seed: int, dim: int) -> manifest.TowersInfo:
    return manifest.TowersInfo(
        fingerprint=hashlib.sha256(f"towers {encoder} {seed} {dim}".encode()).hexdigest(),
        dim=dim,
        audio_tower=AUDIO_TOWER_FILE,
        text_encoder=TEXT_ENCODER_FILE,
        text_precision="float32",
        tokenizer=TOKENIZER_FILE,
        max_tokens=MAX_TOKENS,
        text_bank=TEXT_BANK_FILE,
        known_answer=manifest.KnownAnswer(file=KNOWN_ANSWER_FILE, tolerance=1e-4),
        training=manifest.TowersTraining(
            recipe={"name": "tiny"},
            recipe_sha256=hashlib.sha256(b"tiny towers").hexdigest(),
            commit="0" * 40,
            pairs=0,
            data=[],
        ),
        scores={"r_at_10": 0.5},
    )


def save_graph(path: Path, graph: onnx.GraphProto) -> None:
    """Check a graph and write it as a model."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def value(name: str, kind: int, axes: list[str | int]) -> onnx.ValueInfoProto:
    """Describe an input or an output of a graph."""
    return helper.make_tensor_value_info(name, kind, axes)


def initializers(constants: Mapping[str, np.ndarray]) -> list[onnx.TensorProto]:
    """Return the constants of a graph."""
    return [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
