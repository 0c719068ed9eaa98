"""Execution providers of ONNX Runtime, their options, and the lengths of batches on a GPU.

Written from the documentation of ONNX Runtime and tested with invented lists of providers. It was
never run on a GPU, and no speed was measured.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from service.errors import DeviceError

CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"
TENSORRT_PROVIDER = "TensorrtExecutionProvider"
GPU_MEMORY = "cuda"
"""Memory of CUDA and TensorRT, as named by ONNX Runtime."""

REQUIRED = {"cuda": CUDA_PROVIDER, "tensorrt": TENSORRT_PROVIDER}
"""The provider that a device requires; "auto" and "cpu" require none."""

Provider = tuple[str, dict[str, str]]

_STEPS_PER_OCTAVE = 4
_SHORTEST = 1 << 14  # [samples]

_CUDA_OPTIONS = {
    # By default every algorithm is tried for every new shape.
    "cudnn_conv_algo_search": "HEURISTIC",
    # By default each allocation is doubled; clips have any length.
    "arena_extend_strategy": "kSameAsRequested",
}


def choose_providers(device: str, available: Sequence[str]) -> list[Provider]:
    """List the execution providers to try for a device, the first choice first.

    Args:
        device: "cuda" and "tensorrt" require their provider, "auto" prefers CUDA, "cpu" uses none.
        available: Providers of the installed ONNX Runtime.

    Raises:
        DeviceError: A provider is required and the installed ONNX Runtime does not have it.
    """
    required = REQUIRED.get(device)
    if required is not None and required not in available:
        name = "TensorRT" if device == "tensorrt" else "CUDA"
        raise DeviceError(
            f"device {device} is demanded, but the installed ONNX Runtime has no {name} provider; "
            f"install the extra `gpu`, or use auto or cpu"
        )
    providers: list[Provider] = []
    if device == "tensorrt":
        providers.append((TENSORRT_PROVIDER, _tensorrt_options()))
    if device != "cpu" and CUDA_PROVIDER in available:
        providers.append((CUDA_PROVIDER, dict(_CUDA_OPTIONS)))
    return [*providers, (CPU_PROVIDER, {})]


def make_caches(providers: Sequence[Provider]) -> None:
    """Make the folders of the providers' caches; the providers do not make them."""
    for _, options in providers:
        if "trt_engine_cache_path" in options:
            Path(options["trt_engine_cache_path"]).mkdir(parents=True, exist_ok=True)


def check_started(device: str, provider: str) -> None:
    """Check that a session runs on the required provider.

    Raises:
        DeviceError: The provider is installed, but did not start.
    """
    if REQUIRED.get(device, provider) != provider:
        raise DeviceError(
            f"device {device} is demanded, but no GPU could be used; "
            f"check the driver, or use auto or cpu"
        )


def padded_length(n_samples: int) -> int:
    """Round a length up to one of a few lengths, at most a quarter longer.

    A GPU needs preparation for each new shape, TensorRT minutes of it. The graph ignores the
    samples beyond the length of each clip.

    Args:
        n_samples: At least 1.
    """
    octave = max(n_samples - 1, _SHORTEST).bit_length() - 1
    step = (1 << octave) // _STEPS_PER_OCTAVE
    return max(-(-n_samples // step) * step, _SHORTEST)


def _tensorrt_options() -> dict[str, str]:
    """Return options that keep built engines in the user's cache: building one takes minutes."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = str(home / "minuend" / "tensorrt")
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": folder,
    }
