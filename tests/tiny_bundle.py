"""A complete bundle with a tiny encoder, made with onnx only, in a few milliseconds.

The encoder measures the energy of `dim` bands in each frame, so sounds of different pitch have
different embeddings. A frame depends on its two neighbours, so tests notice errors of the context.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import synth
import tiny_towers
from onnx import TensorProto, helper, numpy_helper

from service.audio.decoding import RESAMPLER, RESAMPLER_QUALITY
from service.bundle import files as bundle
from service.bundle import manifest
from service.inference.onnx_session import open_session

ENCODER_FILE = "encoder.onnx"
KNOWN_ANSWER_FILE = "known_answer.npz"
BLOCK = 640
PARTIAL_FRAMES = 5


SOUNDS = {
    "low": synth.tone(300),
    "middle": synth.tone(900),
    "high": synth.tone(2700),
    "noise": synth.noise(0),
    "clicks": synth.impulses(20),
}
"""The sounds that the words of the towers describe."""


def write(path: Path, *, seed: int = 0, dim: int = 8, towers: int | None = None) -> Path:
    """Write a valid bundle into the directory `path` and return it.

    Args:
        path: The directory; it is made if it does not exist.
        seed: Changes the bands of the encoder.
        dim: Length of an embedding.
        towers: Seed of the towers; the bundle has none if None.
    """
    path.mkdir(parents=True, exist_ok=True)
    tiny_towers.save_graph(path / ENCODER_FILE, _graph(seed, dim))
    waveform = synth.chirp(200, 3000, 1.3)
    np.savez(path / KNOWN_ANSWER_FILE, waveform=waveform, embedding=_embed(path, waveform))
    sounds = {word: _embed(path, samples) for word, samples in SOUNDS.items()}
    mean = np.stack(list(sounds.values())).mean(axis=0)
    about = _manifest(path, seed, mean)
    if towers is not None:
        encoder = about.encoder.fingerprint
        info = tiny_towers.write(path, sounds, mean, encoder=encoder, seed=towers)
        files = about.files | {name: bundle.hash_file(path / name) for name in info.files}
        about = about.model_copy(update={"towers": info, "files": files})
    bundle.write_manifest(path, about)
    return path


def add_variant(
    path: Path, precision: str, *, cpu_speed: float, gain: float = 1.0, tolerance: float = 1e-3
) -> None:
    """Add a variant to a bundle: the same graph with outputs multiplied by `gain`."""
    model = onnx.load(path / ENCODER_FILE)
    for name in ("embedding", "sums", "maxima"):
        (node,) = (node for node in model.graph.node if name in node.output)
        for user in model.graph.node:
            user.input[:] = [f"{name}_plain" if used == name else used for used in user.input]
        node.output[:] = [f"{name}_plain"]
        model.graph.node.append(helper.make_node("Mul", [f"{name}_plain", "variant"], [name]))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(gain), "variant"))
    file = f"encoder.{precision}.onnx"
    onnx.save(model, path / file)
    variant = manifest.EncoderVariant.model_validate(
        {
            "file": file,
            "precision": precision,
            "tolerance": tolerance,
            "cpu_speed": cpu_speed,
            "figures": {"pairs": 5.0},
        }
    )
    written = bundle.load_bundle(path).manifest
    variants = (*written.encoder.variants, variant)
    encoder = written.encoder.model_copy(update={"variants": variants})
    files = written.files | {file: bundle.hash_file(path / file)}
    bundle.write_manifest(path, written.model_copy(update={"encoder": encoder, "files": files}))


def relist(path: Path) -> bundle.Bundle:
    """Write the hashes of the files of a bundle to its manifest again."""
    about = manifest.BundleManifest.model_validate_json((path / "bundle.json").read_bytes())
    files = {name: bundle.hash_file(path / name) for name in about.files}
    bundle.write_manifest(path, about.model_copy(update={"files": files}))
    return bundle.load_bundle(path)


def change_array(
    path: Path, file: str, name: str, change: Callable[[np.ndarray], object]
) -> bundle.Bundle:
    """Change an array in a file of a bundle, with a manifest that agrees with it."""
    with np.load(path / file) as stored:
        arrays = dict(stored)
    np.savez(path / file, **{**arrays, name: change(arrays[name])})
    return relist(path)


def flip_bit(file: Path) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def rename(model: onnx.ModelProto, old: str, new: str) -> None:
    """Rename a value of a graph, also where it is an input or output."""
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for value in (*model.graph.input, *model.graph.output):
        value.name = new if value.name == old else value.name


def _embed(path: Path, waveform: np.ndarray) -> np.ndarray:
    session = open_session(path / ENCODER_FILE, device="cpu", threads=1)
    inputs = {"waveform": waveform[None], "lengths": np.array([waveform.size])}
    (embeddings,) = session.run(inputs, ["embedding"])
    embedding: np.ndarray = embeddings[0]
    return embedding


def _manifest(path: Path, seed: int, mean: np.ndarray) -> manifest.BundleManifest:
    return manifest.BundleManifest(
        schema_version=manifest.SCHEMA_VERSION,
        id=f"tiny-{seed}",
        created="2025-01-01",
        files={name: bundle.hash_file(path / name) for name in (ENCODER_FILE, KNOWN_ANSWER_FILE)},
        encoder=manifest.EncoderInfo(
            file=ENCODER_FILE,
            fingerprint=hashlib.sha256(f"tiny {seed} {mean.size}".encode()).hexdigest(),
            sample_rate_hz=16_000,
            dim=mean.size,
            frame_rate_hz=25.0,
            min_samples=480,
            block_samples=BLOCK,
            context_frames=2,
            partial_frames=PARTIAL_FRAMES,
            frame_stride=4,
            floor_samples=15_200,
            pooling="mean+max",
            resampler=manifest.ResamplerInfo(name=RESAMPLER, quality=RESAMPLER_QUALITY),
            precision="float32",
        ),
        difference=manifest.DifferenceInfo(mean=manifest.encode_mean(mean), reference_weight=0.5),
        known_answer=manifest.KnownAnswer(file=KNOWN_ANSWER_FILE, tolerance=1e-4),
        training=manifest.TrainingInfo(
            recipe={"name": "tiny"},
            recipe_sha256=hashlib.sha256(b"tiny").hexdigest(),
            commit="0" * 40,
            samples_seen=0,
            data=[
                manifest.DataSource(corpus="synthetic", clips=5, seconds=5.0, licences={"CC0": 5})
            ],
            parent=None,
        ),
        scores={"r_at_1": 0.5},
        licence="CC0-1.0",
    )


def _kernel(seed: int, dim: int) -> np.ndarray:
    """Make windowed cosines and sines that sweep through `dim` bands [2*dim, 1, 1920]."""
    jitter = np.random.default_rng(seed).uniform(0.9, 1.1, dim + 1)
    edges_hz = np.geomspace(80, 7000, dim + 1) * jitter
    times_s = np.arange(3 * BLOCK) / 16_000
    sweep = times_s**2 / (2 * times_s[-1])
    phases = 2 * np.pi * (edges_hz[:-1, None] * times_s + np.diff(edges_hz)[:, None] * sweep)
    window = np.hanning(3 * BLOCK) / BLOCK
    waves = np.stack([np.cos(phases), np.sin(phases)], axis=1).reshape(2 * dim, 1, -1)
    return (waves * window).astype(np.float32)


def _graph(seed: int, dim: int) -> onnx.GraphProto:
    constants = {
        "zero": np.int64(0),
        "one": np.int64(1),
        "four": np.int64(4),
        "five": np.int64(PARTIAL_FRAMES),
        "hop": np.int64(160),
        "shortest": np.int64(480),
        "silent": np.float32(0),
        "unit": np.float32(1),
        "gain": np.float32(1e6),
        "kernel": _kernel(seed, dim),
        "batch_axis": np.array([0]),
        "axis_1": np.array([1]),
        "axis_2": np.array([2]),
        "axis_3": np.array([3]),
        "axes_1_2": np.array([1, 2]),
        "pads_before": np.zeros(5, np.int64),
        "bands": np.array([0, dim, 2, -1]),
        "partials": np.array([0, dim, -1, PARTIAL_FRAMES]),
    }
    partials: list[str | int] = ["batch", "partials", dim]
    outputs: dict[str, list[str | int]] = {
        "embedding": ["batch", dim],
        "sums": partials,
        "maxima": partials,
    }
    return helper.make_graph(
        [
            helper.make_node(op, inputs, [output], **attributes)
            for op, inputs, output, attributes in _NODES
        ],
        "tiny",
        [
            tiny_towers.value("waveform", TensorProto.FLOAT, ["batch", "samples"]),
            tiny_towers.value("lengths", TensorProto.INT64, ["batch"]),
        ],
        [tiny_towers.value(name, TensorProto.FLOAT, axes) for name, axes in outputs.items()],
        tiny_towers.initializers(constants),
    )


_NODES: list[tuple[str, list[str], str, dict[str, Any]]] = [
    # Samples beyond the length count as silence.
    ("Shape", ["waveform"], "n_samples", {"start": 1, "end": 2}),
    ("Squeeze", ["n_samples"], "n_samples_scalar", {}),
    ("Range", ["zero", "n_samples_scalar", "one"], "positions", {}),
    ("Unsqueeze", ["lengths", "axis_1"], "lengths_column", {}),
    ("Less", ["positions", "lengths_column"], "is_valid", {}),
    ("Where", ["is_valid", "waveform", "silent"], "masked", {}),
    # Frames of a clip: 1 + n // 160 hops, halved twice.
    ("Max", ["lengths", "shortest"], "counted", {}),
    ("Div", ["counted", "hop"], "hops", {}),
    ("Add", ["hops", "one"], "hops_centred", {}),
    ("Div", ["hops_centred", "four"], "n_frames", {}),
    # Energy of each band: cosine and sine parts squared and added.
    ("Unsqueeze", ["masked", "axis_1"], "channel", {}),
    ("Conv", ["channel", "kernel"], "waves", {"strides": [BLOCK], "pads": [BLOCK, 1760]}),
    ("Mul", ["waves", "waves"], "squares", {}),
    ("Reshape", ["squares", "bands"], "pairs", {}),
    ("ReduceSum", ["pairs", "axis_2"], "energy", {"keepdims": 0}),
    ("Mul", ["energy", "gain"], "energy_scaled", {}),
    ("Add", ["energy_scaled", "unit"], "energy_raised", {}),
    ("Log", ["energy_raised"], "levels", {}),
    # Pad to whole partials, then set the frames beyond the end of each clip to 0.
    ("Shape", ["levels"], "frame_count", {"start": 2, "end": 3}),
    ("Neg", ["frame_count"], "frame_count_negative", {}),
    ("Mod", ["frame_count_negative", "five"], "filling", {}),
    ("Concat", ["pads_before", "filling"], "pads", {"axis": 0}),
    ("Pad", ["levels", "pads", "silent"], "levels_filled", {}),
    ("Shape", ["levels_filled"], "filled_count", {"start": 2, "end": 3}),
    ("Squeeze", ["filled_count"], "filled_scalar", {}),
    ("Range", ["zero", "filled_scalar", "one"], "frames", {}),
    ("Unsqueeze", ["n_frames", "axes_1_2"], "n_frames_column", {}),
    ("Less", ["frames", "n_frames_column"], "is_valid_frame", {}),
    ("Where", ["is_valid_frame", "levels_filled", "silent"], "valid_levels", {}),
    # Pool frames into partials, and partials into the embedding.
    ("Reshape", ["valid_levels", "partials"], "grouped", {}),
    ("ReduceSum", ["grouped", "axis_3"], "sums_by_band", {"keepdims": 0}),
    ("ReduceMax", ["grouped", "axis_3"], "maxima_by_band", {"keepdims": 0}),
    ("Transpose", ["sums_by_band"], "sums", {"perm": [0, 2, 1]}),
    ("Transpose", ["maxima_by_band"], "maxima", {"perm": [0, 2, 1]}),
    ("ReduceSum", ["sums", "axis_1"], "total", {"keepdims": 0}),
    ("ReduceMax", ["maxima", "axis_1"], "peak", {"keepdims": 0}),
    ("Unsqueeze", ["n_frames", "axis_1"], "frames_column", {}),
    ("Cast", ["frames_column"], "divisor", {"to": TensorProto.FLOAT}),
    ("Div", ["total", "divisor"], "average", {}),
    ("Add", ["average", "peak"], "embedding", {}),
]
