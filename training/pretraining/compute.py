"""Device, precision and compilation of training, and the setting of the memory allocator."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn

MMAP_MAX = -4  # glibc's mallopt parameters
TRIM_THRESHOLD = -1


def choose_device() -> torch.device:
    """Choose the GPU of this process if there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def choose_precision(
    setting: Literal["auto", "float32", "bfloat16"], device: torch.device
) -> torch.dtype:
    """Resolve ``auto``: bfloat16 if the processor or GPU has instructions for it, else float32.

    Without such instructions bfloat16 is emulated, which is far slower than float32.
    """
    if setting != "auto":
        return torch.bfloat16 if setting == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def keep_freed_memory() -> None:
    """Make glibc reuse freed memory instead of returning it to the kernel at every step.

    A step allocates the same activations again and again, each hundreds of megabytes. If they came
    from the kernel each time, zeroing them would take a good part of the step.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(MMAP_MAX, 0)
            libc.mallopt(TRIM_THRESHOLD, -1)


def compile_forward(modules: Iterable[nn.Module], backend: str = "inductor") -> None:
    """Compile the forward passes of modules in place; names of their parameters stay.

    Args:
        modules: Such as the encoders.
        backend: Of ``torch.compile``.
    """
    for module in modules:
        module.compile(backend=backend)
