"""The towers as ONNX graphs, and the weights of the text encoder in fewer bits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from training.export.graph import export_onnx
from training.towers.networks import DifferenceModel, TowerNetwork
from training.towers.text_encoder import TextEncoderNetwork, masked_mean
from training.towers.understanding.tagger import Tagger

FEWEST_VALUES = 4096  # smaller tensors stay in float32
MAX_LEVEL = 127


class TextModel(nn.Module):
    """Text encoder, masked mean and text tower in one, with a tagger or without.

    Args:
        encoder: The frozen text encoder.
        tower: The text tower.
        tagger: Tags the tokens; None for a graph that only has the vector.
    """

    def __init__(
        self, encoder: TextEncoderNetwork, tower: TowerNetwork, tagger: Tagger | None = None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.tower = tower
        self.tagger = tagger

    def forward(
        self,
        input_ids: Int64[Tensor, "batch tokens"],
        attention_mask: Int64[Tensor, "batch tokens"],
    ) -> tuple[Tensor, ...]:
        """Map tokens into the common space.

        Returns:
            ``vector`` [batch, dim]; with a tagger also ``text_embedding`` [batch, hidden], before
            the text tower, and ``tags`` [batch, tokens, classes], probabilities.
        """
        middle, last = self.encoder.layers(input_ids, attention_mask)
        embedding = masked_mean(last, attention_mask)
        vector: Tensor = self.tower(embedding)
        if self.tagger is None:
            return (vector,)
        states = torch.cat([middle, last], dim=-1)
        return vector, embedding, self.tagger.probabilities(states, attention_mask)


def write_audio_graph(tower: TowerNetwork, path: Path) -> None:
    """Export the audio tower: ``embedding`` [batch, inputs] -> ``vector`` [batch, dim]."""
    batch = torch.export.Dim("batch")
    example = (torch.zeros(2, len(tower.mean)),)
    graph = export_onnx(tower, example, ["embedding"], ["vector"], ({0: batch},))
    onnx.save(graph, str(path))


def write_difference_graph(model: DifferenceModel, path: Path) -> None:
    """Export a difference: ``mixture``, ``reference``, ``weight`` [batch, 1] -> ``vector``."""
    batch = torch.export.Dim("batch")
    n_inputs = len(model.mean)
    example = (torch.zeros(2, n_inputs), torch.zeros(2, n_inputs), torch.zeros(2, 1))
    inputs = ["mixture", "reference", "weight"]
    graph = export_onnx(model, example, inputs, ["vector"], ({0: batch},) * 3)
    onnx.save(graph, str(path))


def write_text_graph(model: TextModel, path: Path, max_tokens: int) -> None:
    """Export the text side: ``input_ids``, ``attention_mask`` -> the outputs of `TextModel`."""
    batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens", min=1, max=max_tokens)
    example = (torch.ones(2, 7, dtype=torch.int64), torch.ones(2, 7, dtype=torch.int64))
    axes = {0: batch, 1: tokens}
    outputs = ["vector"] if model.tagger is None else ["vector", "text_embedding", "tags"]
    graph = export_onnx(model, example, ["input_ids", "attention_mask"], outputs, (axes, axes))
    onnx.save(graph, str(path))


def store_weights(source: Path, path: Path, precision: str) -> None:
    """Write a graph with its matrices in fewer bits; it still computes in float32.

    The nodes that restore float32 depend on constants only, so ONNX Runtime runs them once, when
    it loads the graph. Tables of embeddings are restored after the lookup.

    Args:
        source: The graph in float32.
        path: The graph to write.
        precision: ``float32`` copies; ``float16`` rounds; ``int8`` rounds every row of a matrix to
            255 levels, with a scale of its own.
    """
    model = onnx.load(str(source))
    if precision != "float32":
        for tensor in list(model.graph.initializer):
            if _is_matrix(tensor):
                _compress(model.graph, tensor, precision)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _is_matrix(tensor: onnx.TensorProto) -> bool:
    is_float = tensor.data_type == onnx.TensorProto.FLOAT
    return is_float and len(tensor.dims) == 2 and int(np.prod(tensor.dims)) >= FEWEST_VALUES


def _compress(graph: onnx.GraphProto, tensor: onnx.TensorProto, precision: str) -> None:
    """Replace a matrix by one of fewer bits and the nodes that restore its values."""
    name, matrix = tensor.name, onnx.numpy_helper.to_array(tensor)
    stored = {}
    if precision == "int8":
        stored[precision], stored["scale"] = quantise_rows(matrix)
    else:
        stored[precision] = matrix.astype(np.float16)
    graph.initializer.remove(tensor)
    for part, values in stored.items():
        graph.initializer.append(onnx.numpy_helper.from_array(values, f"{name}.{part}"))
    users = [node for node in graph.node if name in node.input]
    lookups = [node for node in users if node.op_type == "Gather" and node.input[0] == name]
    for node in lookups:
        _restore_after_lookup(graph, node, name, list(stored))
    if len(lookups) < len(users):
        for node in reversed(_restoring_nodes(name, name, list(stored))):
            graph.node.insert(0, node)


def _restore_after_lookup(
    graph: onnx.GraphProto, node: onnx.NodeProto, name: str, parts: Sequence[str]
) -> None:
    """Replace a Gather from a matrix by one from each stored part, and restore the result."""
    result, indices, attributes = node.output[0], node.input[1], list(node.attribute)
    position = list(graph.node).index(node)
    graph.node.remove(node)
    new = []
    for part in parts:
        read = onnx.helper.make_node("Gather", [f"{name}.{part}", indices], [f"{result}.{part}"])
        read.attribute.extend(attributes)
        new.append(read)
    for offset, each in enumerate([*new, *_restoring_nodes(result, result, parts)]):
        graph.node.insert(position + offset, each)


def _restoring_nodes(name: str, result: str, parts: Sequence[str]) -> list[onnx.NodeProto]:
    """Make the nodes that turn stored parts, values and perhaps a scale, into float32."""
    values, *scale = parts
    wide = f"{result}.wide" if scale else result
    cast = onnx.helper.make_node("Cast", [f"{name}.{values}"], [wide], to=onnx.TensorProto.FLOAT)
    if not scale:
        return [cast]
    return [cast, onnx.helper.make_node("Mul", [wide, f"{name}.scale"], [result])]


def quantise_rows(
    matrix: Float[np.ndarray, "rows columns"],
) -> tuple[np.ndarray, np.ndarray]:
    """Round every row to -127 .. 127 times a scale of its own; a row of zeros stays zero.

    Returns:
        The levels, int8 [rows columns], and the scales, float32 [rows 1].
    """
    peak = np.abs(matrix).max(axis=1, keepdims=True)
    scale = np.where(peak > 0, peak / MAX_LEVEL, 1.0).astype(np.float32)
    levels = np.clip(np.rint(matrix / scale), -MAX_LEVEL, MAX_LEVEL).astype(np.int8)
    return levels, scale
