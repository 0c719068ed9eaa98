"""What is asked of a GPU: providers, their options, and a few fixed lengths of batches.

Written after the documentation of ONNX Runtime and tested with a made-up list of providers. It has
not run on a GPU and nothing of it was measured.
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
"""Memory of both, as ONNX Runtime names it."""

DEMANDED = {"cuda": CUDA_PROVIDER, "tensorrt": TENSORRT_PROVIDER}
"""The provider that a device demands; "auto" demands none and "cpu" wants none of these."""

Provider = tuple[str, dict[str, str]]

_STEPS_PER_OCTAVE = 4
_SHORTEST = 1 << 14

_CUDA_OPTIONS = {
    # The default tries every algorithm for every shape that it has not seen.
    "cudnn_conv_algo_search": "HEURISTIC",
    # The default doubles what it takes; clips have any length.
    "arena_extend_strategy": "kSameAsRequested",
}


def choose_providers(device: str, available: Sequence[str]) -> list[Provider]:
    """List the execution providers to try for a device, the first choice first.

    Args:
        device: "cuda" and "tensorrt" demand theirs, "auto" prefers CUDA, "cpu" takes none of them.
        available: Providers of the installed ONNX Runtime.

    Raises:
        DeviceError: A provider is demanded and the installed ONNX Runtime does not have it.
    """
    demanded = DEMANDED.get(device)
    if demanded is not None and demanded not in available:
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
    """Make the folders that the providers keep what they build in; they make none themselves."""
    for _, options in providers:
        if "trt_engine_cache_path" in options:
            Path(options["trt_engine_cache_path"]).mkdir(parents=True, exist_ok=True)


def check_started(device: str, provider: str) -> None:
    """Do nothing if a session runs on what was demanded.

    Raises:
        DeviceError: It does not: the provider is installed, but did not start.
    """
    if DEMANDED.get(device, provider) != provider:
        raise DeviceError(
            f"device {device} is demanded, but no GPU could be used; "
            f"check the driver, or use auto or cpu"
        )


def bucket(n_samples: int) -> int:
    """Round a length up to one of a few, at most a quarter longer.

    A GPU prepares for every shape that it has not seen, TensorRT for minutes; the samples that are
    added are beyond the length of each clip, which the graph ignores.

    Args:
        n_samples: At least 1.
    """
    octave = max(n_samples - 1, _SHORTEST).bit_length() - 1
    step = (1 << octave) // _STEPS_PER_OCTAVE
    return max(-(-n_samples // step) * step, _SHORTEST)


def _tensorrt_options() -> dict[str, str]:
    """Keep built engines in the user's cache: building one takes minutes."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = str(home / "minuend" / "tensorrt")
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": folder,
    }
