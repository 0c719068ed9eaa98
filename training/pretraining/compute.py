"""Where and how the arithmetic of training is done."""

from __future__ import annotations

import ctypes
import sys
from typing import Literal

import torch

MMAP_MAX = -4  # glibc's mallopt parameters
TRIM_THRESHOLD = -1


def choose_device() -> torch.device:
    """Take the GPU of this process where there is one."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def choose_precision(
    wanted: Literal["auto", "float32", "bfloat16"], device: torch.device
) -> torch.dtype:
    """Resolve ``auto``: bfloat16 where the processor has instructions for it, else float32.

    Without them bfloat16 is emulated, which is far slower than float32.
    """
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def keep_freed_memory() -> None:
    """Tell glibc to reuse freed memory instead of returning it to the kernel at every step.

    A step allocates the same activations again and again, each hundreds of megabytes: getting
    them zeroed from the kernel each time costs a good part of the step.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(MMAP_MAX, 0)
            libc.mallopt(TRIM_THRESHOLD, -1)
