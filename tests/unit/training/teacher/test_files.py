from __future__ import annotations

from pathlib import Path

import pytest

from training.errors import TeacherError
from training.teacher import files
from training.teacher.files import CLASSES, VARIABLES, find_teacher


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PACKAGE", "no_such_package_of_a_teacher")
    with pytest.raises(TeacherError, match="make teacher"):
        find_teacher()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=VARIABLES):
        find_teacher(tmp_path)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    for name in (VARIABLES, CLASSES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"weights")
    with pytest.raises(TeacherError, match=r"has sha256 .*, not "):
        find_teacher(tmp_path)
