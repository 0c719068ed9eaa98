"""Checkpoints: written whole or not at all, and read without running code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from training.errors import CheckpointError


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint so that a crash leaves either the old one or the new one."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to main memory.

    Raises:
        CheckpointError: It is not there, or cannot be read.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint at {path}") from error
    except Exception as error:
        raise CheckpointError(f"{path} is not a readable checkpoint: {error}") from error
    return content
