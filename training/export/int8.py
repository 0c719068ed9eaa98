"""The int8 variant: second convolution and per-frame network in 8 bits, the rest in float32.

Front end, first convolution and pooling are an eighth of the arithmetic and stay in float32.
Weights are symmetric, with one scale per output, and use 7 of their 8 bits: processors without
dot-product instructions add two products of an unsigned and a signed byte in 16 bits, which hold
2 * 255 * 63 but not twice as much. So no product saturates. Activations are outputs of ReLU and
therefore unsigned. Their scales are fixed at export, so that a clip does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from jaxtyping import Float, Float32
from torch import nn

from training.export.graph_editor import GraphEditor
from training.model.encoder import CHANNELS
from training.model.model import EmbeddingModel

WEIGHT_LEVELS = 63  # of either sign
ACTIVATION_LEVELS = 255
BIAS_LEVELS = 2**30
LAYERS = ("conv2", "linear1", "linear2")  # of the encoder, in int8


def measure_ranges(
    model: EmbeddingModel, clips: Iterable[Float32[np.ndarray, " samples"]]
) -> dict[str, float]:
    """Measure the largest input of each int8 layer over calibration clips."""
    largest = dict.fromkeys(LAYERS, 0.0)

    def make_hook(layer: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def update(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            largest[layer] = max(largest[layer], float(inputs[0].max()))

        return update

    hooks = [
        model.encoder.get_submodule(layer).register_forward_pre_hook(make_hook(layer))
        for layer in LAYERS
    ]
    try:
        with torch.inference_mode():
            for clip in clips:
                model(torch.from_numpy(clip)[None], torch.tensor([clip.size]))
    finally:
        for hook in hooks:
            hook.remove()
    return largest


def write_int8(source: Path, out: Path, ranges: Mapping[str, float]) -> None:
    """Write the int8 variant of an exported float32 graph.

    Each int8 layer has DequantizeLinear before it and QuantizeLinear after it; ONNX Runtime fuses
    the three.

    Args:
        source: A graph written by ``write_graph``.
        out: The file to write.
        ranges: Largest input of each int8 layer, by its name in ``LAYERS``.
    """
    editor = GraphEditor(onnx.load(str(source)))
    quantiser = _Quantiser(editor, ranges)
    frames = quantiser.frames()
    editor.replace(editor.consumer(quantiser.local, "Concat").output[0], frames)
    onnx.save(editor.finish(), str(out))


class _Quantiser:
    """Adds the int8 layers to a graph, next to the float32 layers.

    Attributes:
        local: Name of the float32 graph's local features.
    """

    def __init__(self, editor: GraphEditor, ranges: Mapping[str, float]) -> None:
        self._editor = editor
        self._conv = editor.consumer("encoder.conv2.weight", "Conv")
        transposed = editor.consumer("encoder.linear1.weight", "Transpose").output[0]
        self.local: str = editor.consumer(transposed, "MatMul").input[0]
        self._batch, self._frames = editor.producer(
            editor.producer(self.local, "Reshape").input[1], "Concat"
        ).input[:2]
        self._zero = editor.constant("zero", np.uint8(0))
        self._scales = {
            name: editor.constant(f"{name}_scale", activation_scale(largest))
            for name, largest in ranges.items()
        }

    def frames(self) -> str:
        """Add all layers from the second convolution on; return the frames [batch frames dim]."""
        add = self._editor.add
        local = self._convolution()
        width = self._editor.values["encoder.linear1.weight"].shape[1]
        flat = add("Reshape", local, self._editor.constant("flat", np.array([-1, width])))
        flat = self._round_to_int8(flat, "linear1")
        hidden = self._linear(flat, "linear1")
        hidden = self._round_to_int8(add("Relu", hidden), "linear2")
        # Reshape before Relu: otherwise ONNX Runtime would fuse layer and Relu in float32.
        outputs = self._editor.values["encoder.linear2.weight"].shape[0]
        output = add("Relu", self._unflatten(self._linear(hidden, "linear2"), outputs))
        return add("Concat", self._unflatten(flat, width), output, axis=2)

    def _convolution(self) -> str:
        editor, add = self._editor, self._editor.add
        mask, unmasked, _ = editor.producer(self._conv.input[0], "Where").input
        masked = self._mask(self._quantize_linear(unmasked, "conv2"), mask)
        weight, bias = fold_batch_norm(editor.values, "conv2", "norm2")
        sides: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        convolved = add(
            "Conv",
            self._dequantize_linear(masked, "conv2"),
            *self._weights("conv2", weight, bias),
            **sides,
        )
        x = self._round_to_int8(add("Relu", convolved), "linear1")
        x = add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        x = add("Transpose", self._round_to_int8(x, "linear1"), perm=[0, 2, 3, 1])
        return self._round_to_int8(x, "linear1")

    def _mask(self, x: str, mask: str) -> str:
        """Zero the invalid frames, with all values of a frame next to each other in memory.

        The int8 convolution takes channels-last input anyway. So this takes a third of the time
        of a mask in the float32 layout.
        """
        add, constant = self._editor.add, self._editor.constant
        bands_and_channels = constant("bands_and_channels", np.array([0, 0, -1, CHANNELS]))
        x = add("Transpose", x, perm=[0, 2, 3, 1])
        x = add("Reshape", x, constant("frames_whole", np.array([0, 0, -1])))
        frame_mask = add("Reshape", mask, constant("mask_of_frames", np.array([0, -1, 1])))
        x = add("Where", frame_mask, x, self._zero)
        x = add("Reshape", x, bands_and_channels)
        return add("Transpose", x, perm=[0, 3, 1, 2])

    def _linear(self, x: str, layer: str) -> str:
        values = self._editor.values
        weight, bias = (values[f"encoder.{layer}.{part}"] for part in ("weight", "bias"))
        return self._editor.add("Gemm", x, *self._weights(layer, weight, bias), transB=1)

    def _weights(
        self,
        layer: str,
        weight: Float[np.ndarray, "outputs ..."],
        bias: Float[np.ndarray, " outputs"],
    ) -> tuple[str, str]:
        """Add a layer's weights in int8 and its bias in int32."""
        steps, scale = quantise_weights(weight)
        bias_scale = scale * self._editor.values[self._scales[layer]]
        bias_steps = np.rint(bias / bias_scale).clip(-BIAS_LEVELS, BIAS_LEVELS).astype(np.int32)
        return (
            self._constant(f"{layer}_weight", steps, scale),
            self._constant(f"{layer}_bias", bias_steps, bias_scale),
        )

    def _constant(
        self, name: str, steps: np.ndarray, scale: Float32[np.ndarray, " outputs"]
    ) -> str:
        zeros = np.zeros(len(scale), steps.dtype)
        inputs = [
            self._editor.constant(f"{name}_{part}", value)
            for part, value in (("steps", steps), ("scale", scale), ("zero", zeros))
        ]
        return self._editor.add("DequantizeLinear", *inputs, axis=0)

    def _round_to_int8(self, x: str, layer: str) -> str:
        """Add QuantizeLinear and DequantizeLinear, with the scale of a layer's input."""
        return self._dequantize_linear(self._quantize_linear(x, layer), layer)

    def _quantize_linear(self, x: str, layer: str) -> str:
        return self._editor.add("QuantizeLinear", x, self._scales[layer], self._zero)

    def _dequantize_linear(self, x: str, layer: str) -> str:
        return self._editor.add("DequantizeLinear", x, self._scales[layer], self._zero)

    def _unflatten(self, x: str, width: int) -> str:
        last = self._editor.constant(f"width_{width}", np.array([width]))
        shape = self._editor.add("Concat", self._batch, self._frames, last, axis=0)
        return self._editor.add("Reshape", x, shape)


def activation_scale(largest: float) -> np.float32:
    """Return the scale at which unsigned bytes reach from 0 to ``largest``."""
    return np.float32(max(largest, 1e-6) / ACTIVATION_LEVELS)


def quantise_weights(
    weight: Float[np.ndarray, "outputs ..."],
) -> tuple[np.ndarray, Float32[np.ndarray, " outputs"]]:
    """Round weights to -63 to 63 steps; the largest weight of each output has 63.

    Returns:
        The steps as int8, of the same shape, and the size of a step for each output.
    """
    rows = weight.reshape(len(weight), -1)
    scale = (np.maximum(np.abs(rows).max(axis=1), 1e-12) / WEIGHT_LEVELS).astype(np.float32)
    return np.rint(rows / scale[:, None]).astype(np.int8).reshape(weight.shape), scale


def fold_batch_norm(
    values: dict[str, np.ndarray], conv: str, norm: str
) -> tuple[Float[np.ndarray, "outputs inputs 3 3"], Float[np.ndarray, " outputs"]]:
    """Fold a BatchNorm into the convolution before it; return weights and biases of both."""
    gain, shift, mean, variance = (
        values[f"encoder.{norm}.{part}"]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = gain / np.sqrt(variance + nn.BatchNorm2d(1).eps)
    weight = values[f"encoder.{conv}.weight"] * factor[:, None, None, None]
    return weight, (values[f"encoder.{conv}.bias"] - mean) * factor + shift
