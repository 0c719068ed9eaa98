"""What was freed, given back to the system."""

from __future__ import annotations

import ctypes
import sys


def release_freed_memory() -> None:
    """Tell glibc to return freed memory; it keeps what lies between pieces that are in use."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)
