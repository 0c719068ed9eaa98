"""A trained difference for the small bundle with towers: a linear one, made with onnx only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tiny_towers
from onnx import TensorProto, helper

from service.bundle.files import hash_file, load_bundle, write_manifest

FILE = "difference.onnx"


def matrix(dim: int, embedding_dim: int) -> np.ndarray:
    """Return the matrix of the difference [embedding_dim dim]."""
    random = np.random.default_rng(5)
    return random.normal(size=(embedding_dim, dim)).astype(np.float32)


def add(path: Path) -> Path:
    """Add the difference ``(mixture - weight * reference) @ matrix`` to a bundle with towers."""
    bundle = load_bundle(path)
    manifest, info = bundle.manifest, bundle.manifest.towers
    assert info is not None
    n = manifest.encoder.dim
    weights = matrix(info.dim, n)
    nodes = [
        helper.make_node("Mul", ["reference", "weight"], ["share"]),
        helper.make_node("Sub", ["mixture", "share"], ["rest"]),
        helper.make_node("MatMul", ["rest", "matrix"], ["vector"]),
    ]
    inputs = [
        tiny_towers.value(name, TensorProto.FLOAT, ["batch", size])
        for name, size in (("mixture", n), ("reference", n), ("weight", 1))
    ]
    outputs = [tiny_towers.value("vector", TensorProto.FLOAT, ["batch", info.dim])]
    constants = tiny_towers.initializers({"matrix": weights})
    graph = helper.make_graph(nodes, "difference", inputs, outputs, constants)
    tiny_towers.save_graph(path / FILE, graph)
    with np.load(path / info.known_answer.file) as stored:
        known = {name: stored[name] for name in stored.files}
    known["reference"] = known["embedding"] / 2
    weight = np.float32(manifest.difference.reference_weight)
    known["difference_vector"] = (known["embedding"] - weight * known["reference"]) @ weights
    np.savez(path / info.known_answer.file, **known)
    files = dict(manifest.files)
    for name in (FILE, info.known_answer.file):
        files[name] = hash_file(path / name)
    towers = info.model_copy(update={"difference": FILE})
    write_manifest(path, manifest.model_copy(update={"towers": towers, "files": files}))
    return path
