"""Export the torch model as an ONNX graph, and check that both compute the same."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from service.inference.encoder import Encoder
from training.errors import ExportParityError
from training.model.frontend import HOP_LENGTH, SAMPLE_RATE
from training.model.model import EmbeddingModel

OPSET = 20
TOLERANCE = 1e-4  # of the largest value of an embedding
# One sample, around one hop, the shortest clip, a training crop, and 1, 5, 10 and 61 seconds.
LENGTHS = (
    *(1, HOP_LENGTH - 1, HOP_LENGTH, HOP_LENGTH + 1, 480, 15_200),
    *(seconds * SAMPLE_RATE for seconds in (1, 5, 10, 61)),
)


def write_graph(model: EmbeddingModel, path: Path) -> None:
    """Export a model for any batch and length.

    Parameters keep their names and BatchNorm is not folded, so that the weights can be read back.
    """
    batch, samples = torch.export.Dim("batch"), torch.export.Dim("samples")
    example = (torch.zeros(2, 2 * SAMPLE_RATE), torch.tensor([2 * SAMPLE_RATE, SAMPLE_RATE]))
    axes = ({0: batch, 1: samples}, {0: batch})
    outputs = ["embedding", "sums", "maxima"]
    graph = export_onnx(model, example, ["waveform", "lengths"], outputs, axes)
    for output in graph.graph.output[1:]:
        output.type.tensor_type.shape.dim[1].dim_param = "partials"
    onnx.save(graph, str(path))


def export_onnx(
    model: nn.Module,
    example: tuple[torch.Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    axes: tuple[dict[int, torch.export.Dim], ...],
) -> onnx.ModelProto:
    """Export a model in evaluation mode, unoptimised.

    Args:
        model: The model.
        example: Inputs of any size.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        axes: Dynamic axes of each input.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model.eval(),
            example,
            dynamo=True,
            optimize=False,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=axes,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def check_parity(model: EmbeddingModel, encoder: Encoder) -> float:
    """Compare the exported encoder with the torch model, alone and in a batch.

    Returns:
        The largest deviation, relative to the largest value of the embedding.

    Raises:
        ExportParityError: A deviation exceeds 1e-4.
    """
    random = np.random.default_rng(0)
    clips = [(0.1 * random.standard_normal(n)).astype(np.float32) for n in LENGTHS]
    together = encoder.embed(clips)
    worst = 0.0
    for clip, batched in zip(clips, together, strict=True):
        with torch.inference_mode():
            expected = model(torch.from_numpy(clip)[None], torch.tensor([clip.size])).embedding[0]
        for found in (batched, encoder.embed([clip])[0]):
            deviation = np.abs(found - expected.numpy()).max() / expected.abs().max().item()
            worst = max(worst, float(deviation))
            if not deviation <= TOLERANCE:
                raise ExportParityError(
                    f"the exported graph deviates from the model by {deviation:.2g} of the largest "
                    f"value at {clip.size} samples; {TOLERANCE:g} is allowed"
                )
    return worst
