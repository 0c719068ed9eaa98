from __future__ import annotations

from pathlib import Path

import pytest

from training.cli.options import tell


def test_as_text_each_value_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    path, variants = Path("models/mine"), ["int8: shipped", "float16: not shipped"]
    tell({"bundle": path, "variants": variants}, as_json=False)
    assert capsys.readouterr().out.splitlines() == [str(path), *variants]
