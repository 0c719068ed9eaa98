from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.errors import CheckpointError
from training.pretraining.checkpoint import load_checkpoint, save_checkpoint


class CrashError(Exception):
    """An error while a file is written."""


class Crashing:
    """An object that fails while it is pickled."""

    def __reduce__(self) -> str:
        raise CrashError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1, "weights": {"a": torch.arange(5.0)}})
    return path


def test_a_new_checkpoint_replaces_the_old_one_and_leaves_nothing_else(path: Path) -> None:
    save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path) == {"step": 2}
    assert list(path.parent.iterdir()) == [path]


def test_a_crash_while_writing_leaves_the_old_one(path: Path) -> None:
    with pytest.raises(CrashError):
        save_checkpoint(path, {"weights": torch.zeros(1000), "last": Crashing()})
    assert load_checkpoint(path)["step"] == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_checkpoint_is_refused(path: Path, damage: str) -> None:
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "text": b"no checkpoint at all",
            "empty": b"",
        }[damage]
    )
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt is not a readable checkpoint"):
        load_checkpoint(path)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no checkpoint at .*none\.pt"):
        load_checkpoint(tmp_path / "none.pt")


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"step": Path}, path)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
