"""The exported graph: its inputs and outputs, and that it computes the same as the torch model."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import pytest
import synth
import torch

from service.bundle.files import Bundle
from service.inference.encoder import Encoder
from training.model.model import EmbeddingModel

pytestmark = pytest.mark.timeout(600)

# Of the largest value of the embedding.
PARITY, INDEPENDENCE = 1e-4, 1e-5
SECOND = 16_000
LENGTHS = [1, 159, 160, 161, 480, 15_200, SECOND, 5 * SECOND, 10 * SECOND, 61 * SECOND]


@pytest.fixture(scope="module")
def graph(exported: Bundle) -> onnx.ModelProto:
    return onnx.load(str(exported.file("encoder.onnx")))


@pytest.fixture(scope="module")
def session(exported: Bundle) -> onnxruntime.InferenceSession:
    """The raw graph, without the service around it."""
    return onnxruntime.InferenceSession(
        exported.file("encoder.onnx"), providers=["CPUExecutionProvider"]
    )


def noise(samples: int) -> np.ndarray:
    return synth.noise(samples, samples / SECOND)


def run(
    session: onnxruntime.InferenceSession, clips: Sequence[np.ndarray]
) -> Mapping[str, np.ndarray]:
    """Run clips as one batch, each padded with values that must not matter."""
    fillers = itertools.cycle([np.nan, np.inf, -np.inf, 1e30])
    batch = np.zeros((len(clips), max(clip.size for clip in clips)), np.float32)
    for row, clip, filler in zip(batch, clips, fillers, strict=False):
        row[: clip.size], row[clip.size :] = clip, filler
    lengths = np.array([clip.size for clip in clips])
    names = ["embedding", "sums", "maxima"]
    answers = session.run(names, {"waveform": batch, "lengths": lengths})
    return dict(zip(names, answers, strict=True))


def deviation(found: np.ndarray, expected: np.ndarray) -> float:
    assert np.isfinite(found).all()
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def shape(value: onnx.ValueInfoProto) -> tuple[int, list[str | int]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, [axis.dim_param or axis.dim_value for axis in tensor.shape.dim]


def test_the_graph_has_the_inputs_and_outputs_of_the_contract(graph: onnx.ModelProto) -> None:
    onnx.checker.check_model(graph, full_check=True)
    number, count = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    assert {value.name: shape(value) for value in graph.graph.input} == {
        "waveform": (number, ["batch", "samples"]),
        "lengths": (count, ["batch"]),
    }
    assert {value.name: shape(value) for value in graph.graph.output} == {
        "embedding": (number, ["batch", 3072]),
        "sums": (number, ["batch", "partials", 3072]),
        "maxima": (number, ["batch", "partials", 3072]),
    }


def test_the_initialisers_carry_the_names_of_the_parameters(
    graph: onnx.ModelProto, model: EmbeddingModel
) -> None:
    """BatchNorm is not folded: its statistics and scales are those of training."""
    values = {item.name: onnx.numpy_helper.to_array(item) for item in graph.graph.initializer}
    for name, expected in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert np.array_equal(values[name], expected.numpy()), name
    assert {"encoder.norm1.running_mean", "encoder.norm2.running_var", "mean", "std"} <= set(values)


def test_the_graph_is_of_operators_that_every_provider_has(graph: onnx.ModelProto) -> None:
    assert {node.domain for node in graph.graph.node} <= {"", "ai.onnx"}
    assert "STFT" not in {node.op_type for node in graph.graph.node}
    assert graph.functions == []


@pytest.mark.parametrize("samples", LENGTHS)
def test_the_graph_computes_the_same_as_torch(
    session: onnxruntime.InferenceSession, model: EmbeddingModel, samples: int
) -> None:
    clip = noise(samples)
    with torch.inference_mode():
        expected = model(torch.from_numpy(clip)[None], torch.tensor([samples]))
    found = run(session, [clip])
    for name, values in expected._asdict().items():
        assert found[name].shape == values.shape
        assert deviation(found[name], values.numpy()) <= PARITY


def test_a_clip_is_the_same_alone_and_in_a_batch_whatever_pads_it(
    session: onnxruntime.InferenceSession,
) -> None:
    clips = [noise(n) for n in (1, 479, 5 * SECOND, 799, 15_199, SECOND, 3201)]
    together = run(session, clips)
    for i, clip in enumerate(clips):
        alone = run(session, [clip])
        n_partials = alone["sums"].shape[1]
        assert deviation(together["embedding"][i], alone["embedding"][0]) <= INDEPENDENCE
        for name in ("sums", "maxima"):
            assert deviation(together[name][i, :n_partials], alone[name][0]) <= INDEPENDENCE
            assert not together[name][i, n_partials:].any()


def test_the_same_request_twice_gives_the_same_bits(session: onnxruntime.InferenceSession) -> None:
    clips = [noise(SECOND), noise(20_000)]
    first, second = run(session, clips), run(session, clips)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_long_clip_streamed_by_the_service_is_the_clip_at_once(
    encoder: Encoder, session: onnxruntime.InferenceSession
) -> None:
    clip = noise(61 * SECOND + 1234)
    assert deviation(encoder.embed([clip])[0], run(session, [clip])["embedding"][0]) <= PARITY
