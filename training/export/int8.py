"""The int8 variant: the three large products in 8 bits, everything else in float32.

Front end, first convolution and pooling are an eighth of the arithmetic and stay as they are.
Weights are symmetric with a scale of their own for each output, and use 7 of their 8 bits:
processors without dot-product instructions add two products of an unsigned and a signed byte in
16 bits, which hold 2 * 255 * 64 and not twice as much. So none of them saturates. Activations come
out of rectifiers and are unsigned; their scales are fixed at export, so that a clip does not depend
on its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Ranges:
    """The largest inputs of the layers that become int8, over the clips of the calibration."""

    conv2: float
    linear1: float
    linear2: float


def measure_ranges(
    model: EmbeddingModel, clips: Iterable[Float32[np.ndarray, " samples"]]
) -> Ranges:
    """Find the largest inputs of the second convolution and of the per-frame network."""
    largest = [0.0, 0.0, 0.0]

    def watch(place: int) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def note(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            largest[place] = max(largest[place], float(inputs[0].max()))

        return note

    encoder = model.encoder
    layers = (encoder.conv2, encoder.linear1, encoder.linear2)
    hooks = [layer.register_forward_pre_hook(watch(i)) for i, layer in enumerate(layers)]
    try:
        with torch.inference_mode():
            for clip in clips:
                model(torch.from_numpy(clip)[None], torch.tensor([clip.size]))
    finally:
        for hook in hooks:
            hook.remove()
    return Ranges(*largest)


def write_int8(source: Path, out: Path, ranges: Ranges) -> None:
    """Write the int8 variant of an exported float32 graph.

    Quantised values stand between QuantizeLinear and DequantizeLinear, which ONNX Runtime fuses
    with the layer between them.

    Args:
        source: The graph that ``write_graph`` wrote.
        out: The file to write.
        ranges: What the activations reach.
    """
    editor = GraphEditor(onnx.load(str(source)))
    quantiser = _Quantiser(editor, ranges)
    frames = quantiser.frames()
    editor.replace(editor.consumer(quantiser.local, "Concat").output[0], frames)
    onnx.save(editor.finish(), str(out))


class _Quantiser:
    """Builds the int8 layers beside the float32 ones.

    Attributes:
        local: Name of the float32 graph's local features.
    """

    def __init__(self, editor: GraphEditor, ranges: Ranges) -> None:
        self._editor = editor
        self._conv = editor.consumer("encoder.conv2.weight", "Conv")
        transposed = editor.consumer("encoder.linear1.weight", "Transpose").output[0]
        self.local: str = editor.consumer(transposed, "MatMul").input[0]
        self._batch, self._frames = editor.producer(
            editor.producer(self.local, "Reshape").input[1], "Concat"
        ).input[:2]
        self._zero = editor.constant("zero", np.uint8(0))
        self._scales = {
            name: editor.constant(f"{name}_scale", scale_of(largest))
            for name, largest in (
                ("conv2", ranges.conv2),
                ("linear1", ranges.linear1),
                ("linear2", ranges.linear2),
            )
        }

    def frames(self) -> str:
        """Add the layers from the second convolution on; name the frames [batch frames dim]."""
        add = self._editor.add
        local = self._convolution()
        width = self._editor.values["encoder.linear1.weight"].shape[1]
        flat = add("Reshape", local, self._editor.constant("flat", np.array([-1, width])))
        flat = self._through_int8(flat, "linear1")
        hidden = self._linear(flat, "linear1")
        hidden = self._through_int8(add("Relu", hidden), "linear2")
        # Reshaped before it is rectified: ONNX Runtime would fuse the two in float32 otherwise.
        outputs = self._editor.values["encoder.linear2.weight"].shape[0]
        output = add("Relu", self._unflatten(self._linear(hidden, "linear2"), outputs))
        return add("Concat", self._unflatten(flat, width), output, axis=2)

    def _convolution(self) -> str:
        editor, add = self._editor, self._editor.add
        mask, heard, _ = editor.producer(self._conv.input[0], "Where").input
        masked = self._masked(self._quantise(heard, "conv2"), mask)
        weight, bias = folded(editor.values, "conv2", "norm2")
        sides: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        convolved = add(
            "Conv",
            self._dequantise(masked, "conv2"),
            *self._weights("conv2", weight, bias),
            **sides,
        )
        x = self._through_int8(add("Relu", convolved), "linear1")
        x = add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        x = add("Transpose", self._through_int8(x, "linear1"), perm=[0, 2, 3, 1])
        return self._through_int8(x, "linear1")

    def _masked(self, x: str, mask: str) -> str:
        """Zero the frames beyond each clip's end, a frame's values one after the other in memory.

        The int8 convolution takes its channels last anyway, so this costs a third of a mask over
        the values as they stand.
        """
        add, constant = self._editor.add, self._editor.constant
        bands_and_channels = constant("bands_and_channels", np.array([0, 0, -1, CHANNELS]))
        x = add("Transpose", x, perm=[0, 2, 3, 1])
        x = add("Reshape", x, constant("frames_whole", np.array([0, 0, -1])))
        of_frames = add("Reshape", mask, constant("mask_of_frames", np.array([0, -1, 1])))
        x = add("Where", of_frames, x, self._zero)
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
        """Store a layer's weights as int8 and its bias as int32."""
        steps, scale = quantise_weights(weight)
        bias_scale = scale * self._editor.values[self._scales[layer]]
        bias_steps = np.rint(bias / bias_scale).clip(-BIAS_LEVELS, BIAS_LEVELS).astype(np.int32)
        return (
            self._stored(f"{layer}_weight", steps, scale),
            self._stored(f"{layer}_bias", bias_steps, bias_scale),
        )

    def _stored(self, name: str, steps: np.ndarray, scale: Float32[np.ndarray, " outputs"]) -> str:
        zeros = np.zeros(len(scale), steps.dtype)
        inputs = [
            self._editor.constant(f"{name}_{part}", value)
            for part, value in (("steps", steps), ("scale", scale), ("zero", zeros))
        ]
        return self._editor.add("DequantizeLinear", *inputs, axis=0)

    def _through_int8(self, x: str, layer: str) -> str:
        return self._dequantise(self._quantise(x, layer), layer)

    def _quantise(self, x: str, layer: str) -> str:
        return self._editor.add("QuantizeLinear", x, self._scales[layer], self._zero)

    def _dequantise(self, x: str, layer: str) -> str:
        return self._editor.add("DequantizeLinear", x, self._scales[layer], self._zero)

    def _unflatten(self, x: str, width: int) -> str:
        last = self._editor.constant(f"width_{width}", np.array([width]))
        shape = self._editor.add("Concat", self._batch, self._frames, last, axis=0)
        return self._editor.add("Reshape", x, shape)


def scale_of(largest: float) -> np.float32:
    """Return the step of an unsigned byte that reaches up to ``largest``."""
    return np.float32(max(largest, 1e-6) / ACTIVATION_LEVELS)


def quantise_weights(
    weight: Float[np.ndarray, "outputs ..."],
) -> tuple[np.ndarray, Float32[np.ndarray, " outputs"]]:
    """Round weights to whole steps of -63 to 63, the largest of each output to the last step.

    Returns:
        The steps as int8, of the same shape, and the size of a step for each output.
    """
    rows = weight.reshape(len(weight), -1)
    scale = (np.maximum(np.abs(rows).max(axis=1), 1e-12) / WEIGHT_LEVELS).astype(np.float32)
    return np.rint(rows / scale[:, None]).astype(np.int8).reshape(weight.shape), scale


def folded(
    values: dict[str, np.ndarray], conv: str, norm: str
) -> tuple[Float[np.ndarray, "outputs inputs 3 3"], Float[np.ndarray, " outputs"]]:
    """Fold a BatchNorm into the convolution before it; weights and biases of the two as one."""
    gain, shift, mean, variance = (
        values[f"encoder.{norm}.{part}"]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = gain / np.sqrt(variance + nn.BatchNorm2d(1).eps)
    weight = values[f"encoder.{conv}.weight"] * factor[:, None, None, None]
    return weight, (values[f"encoder.{conv}.bias"] - mean) * factor + shift
