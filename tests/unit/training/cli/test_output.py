from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.cli.output import tell

RESULT = {"bundle": Path("models/mine"), "variants": ["int8: shipped", "float16: not shipped"]}


def test_as_text_each_value_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    tell(RESULT, as_json=False)

    assert capsys.readouterr().out.splitlines() == [
        str(Path("models/mine")),
        "int8: shipped",
        "float16: not shipped",
    ]


def test_as_json_it_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    tell(RESULT, as_json=True)

    assert json.loads(capsys.readouterr().out) == RESULT | {"bundle": str(Path("models/mine"))}
