"""YAMNet in torch: from waveform to embeddings and class scores.

The network is MobileNet v1 over patches of 96 log-mel frames (Google, Apache-2.0; trained on
AudioSet). Batch normalisation is folded into the convolutions. The weights are never trained here.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor, nn

from training.model.frontend import SAMPLE_RATE
from training.teacher.files import N_CLASSES, TeacherFiles

DIM = 1024
PATCH_SAMPLES = 15_600  # 0.975 s: the samples of 96 frames
HOP_SAMPLES = 7_680  # 0.48 s, 48 frames: the distance of patches in a longer clip

_WINDOW, _HOP, _N_FFT, _N_MELS = 400, 160, 512, 64
_F_MIN_HZ, _F_MAX_HZ = 125.0, 7500.0
_LOG_OFFSET = 0.001
_BATCH_NORM_EPSILON = 1e-4
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_CHANNELS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)


class TeacherOutput(NamedTuple):
    """Output of the teacher for a batch of clips.

    Attributes:
        embedding: Input of the classifier, not negative.
        scores: Probability of each class of AudioSet; the classes do not exclude each other.
    """

    embedding: Float[Tensor, "batch 1024"]
    scores: Float[Tensor, "batch 521"]


class Yamnet(nn.Module):
    """The teacher, frozen.

    Args:
        files: Its weights.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, files: TeacherFiles) -> None:
        super().__init__()
        values = files.variables(_shapes())
        layers: list[nn.Module] = [_convolution(values, 0, stride=2)]
        for block, stride in enumerate(_STRIDES):
            layers.append(_convolution(values, 2 + 4 * block, stride=stride, depthwise=True))
            layers.append(_convolution(values, 4 + 4 * block, stride=1))
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(DIM, N_CLASSES)
        self.classifier.weight.data = torch.from_numpy(values["classifier_kernel"].T.copy())
        self.classifier.bias.data = torch.from_numpy(values["classifier_bias"].copy())
        self.register_buffer("window", torch.hann_window(_WINDOW), persistent=False)
        self.register_buffer("filters", torch.from_numpy(mel_filters()).float(), persistent=False)
        self.requires_grad_(requires_grad=False)
        self.eval()
        self.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def forward(self, waveform: Float[Tensor, "batch samples"]) -> TeacherOutput:
        """Compute embedding and scores: means over patches of 0.96 s, one every 0.48 s.

        Args:
            waveform: Mono sound at 16 kHz, full scale 1. Zeros follow a clip that is shorter than
                a patch; samples after the last whole patch of a longer clip are not used.
        """
        patches = cut_patches(waveform)
        n_clips, n_patches, _ = patches.shape
        embeddings = self.embed_patches(patches.flatten(0, 1))
        scores = self.classifier(embeddings).sigmoid()
        return TeacherOutput(
            embeddings.reshape(n_clips, n_patches, -1).mean(dim=1),
            scores.reshape(n_clips, n_patches, -1).mean(dim=1),
        )

    def embed_patches(
        self, patches: Float[Tensor, "patches 15600"]
    ) -> Float[Tensor, "patches 1024"]:
        """Compute the embedding of each patch."""
        features: Tensor = self.layers(self.log_mel(patches).unsqueeze(1))
        return features.mean(dim=(2, 3))

    def log_mel(
        self, waveform: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch frames mels"]:
        """Compute ln(mel magnitude + 0.001); frames are not centred and nothing is padded."""
        frames = waveform.unfold(1, _WINDOW, _HOP) * self.window
        magnitude = torch.fft.rfft(frames, n=_N_FFT).abs()
        log_mel: Tensor = (magnitude @ self.filters + _LOG_OFFSET).log()
        return log_mel


class SamePadding(nn.Module):
    """Zeros around an image, as TensorFlow's padding "same" of a 3x3 convolution puts them.

    Args:
        stride: Stride of the convolution that follows. For an even size and stride 2, all zeros
            are behind the image.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels padded_height padded_width"]:
        """Pad height and width."""
        height, width = (self._padding(size) for size in image.shape[2:])
        return nn.functional.pad(image, (*width, *height))

    def _padding(self, size: int) -> tuple[int, int]:
        total = max((math.ceil(size / self.stride) - 1) * self.stride + 3 - size, 0)
        return total // 2, total - total // 2


def cut_patches(
    waveform: Float[Tensor, "batch samples"],
) -> Float[Tensor, "batch patches 15600"]:
    """Cut clips into overlapping patches of 15,600 samples; at least one."""
    missing = max(PATCH_SAMPLES - waveform.shape[1], 0)
    return nn.functional.pad(waveform, (0, missing)).unfold(1, PATCH_SAMPLES, HOP_SAMPLES)


def mel_filters() -> Float64[np.ndarray, "bins mels"]:
    """Compute 64 triangular filters on HTK's mel scale, 125 to 7500 Hz, of peak height 1."""
    bins = _to_mel(np.linspace(0.0, SAMPLE_RATE / 2, _N_FFT // 2 + 1))[:, None]
    lowest, highest = _to_mel(np.array([_F_MIN_HZ, _F_MAX_HZ])).tolist()
    edges = np.linspace(lowest, highest, _N_MELS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    filters: Float64[np.ndarray, "bins mels"] = np.maximum(0.0, np.minimum(rising, falling))
    return filters


def _to_mel(frequency_hz: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    mel: Float64[np.ndarray, " n"] = 1127.0 * np.log1p(frequency_hz / 700.0)
    return mel


def _shapes() -> dict[str, tuple[int, ...]]:
    """Return the variables in the order of their file; even numbers are convolutions."""
    kernels: list[tuple[int, ...]] = [(3, 3, 1, _CHANNELS[0])]
    for channels, wider in pairwise(_CHANNELS):
        kernels += [(3, 3, channels, 1), (1, 1, channels, wider)]
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, kernel in enumerate(kernels):
        n_channels = max(kernel[2:]) if kernel[3] == 1 else kernel[3]
        shapes[f"{2 * layer}_kernel"] = kernel
        for statistic in ("beta", "mean", "variance"):
            shapes[f"{2 * layer}_{statistic}"] = (n_channels,)
    return shapes | {"classifier_kernel": (DIM, N_CLASSES), "classifier_bias": (N_CLASSES,)}


def _convolution(
    values: dict[str, Float32[np.ndarray, "..."]],
    number: int,
    *,
    stride: int,
    depthwise: bool = False,
) -> nn.Sequential:
    """Make a convolution with its batch normalisation folded in, and its ReLU."""
    kernel = torch.from_numpy(values[f"{number}_kernel"])
    kernel = kernel.permute(2, 3, 0, 1) if depthwise else kernel.permute(3, 2, 0, 1)
    beta, mean, variance = (
        torch.from_numpy(values[f"{number}_{name}"]) for name in ("beta", "mean", "variance")
    )
    scale = (variance + _BATCH_NORM_EPSILON).rsqrt()
    n_out, n_in, size, _ = kernel.shape
    groups = n_out if depthwise else 1
    convolution = nn.Conv2d(n_in * groups, n_out, size, stride=stride, groups=groups)
    convolution.weight.data = kernel * scale[:, None, None, None]
    convolution.bias = nn.Parameter(beta - mean * scale)
    layers = [SamePadding(stride)] if size == 3 else []
    return nn.Sequential(*layers, convolution, nn.ReLU(inplace=True))
