"""Checkpoint files: written atomically, and read without running code from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from service.concurrency.durable import atomic_write
from training.errors import CheckpointError


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint; after a crash the file is the old one or the new one."""
    with atomic_write(path) as file:
        torch.save(content, file)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to main memory.

    Raises:
        CheckpointError: It does not exist, or cannot be read.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint at {path}") from error
    except Exception as error:
        raise CheckpointError(f"{path} is not a readable checkpoint: {error}") from error
    return content
