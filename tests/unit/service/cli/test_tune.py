from __future__ import annotations

import re
from pathlib import Path

import pytest
from shell import run, run_json

from service.settings import load_settings


def test_the_written_file_has_valid_settings(
    tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "minuend.env"

    output = run("tune", "--bundle", tiny_bundle_path, "--out", out, "--seconds", 0.1).stdout

    text = out.read_text(encoding="utf-8")
    assert output.count("MINUEND_") == 5
    assert all(line.startswith(("#", "MINUEND_")) for line in text.splitlines())
    for name, value in re.findall(r"^(MINUEND_\w+)=(.*)$", text, re.MULTILINE):
        monkeypatch.setenv(name, value)
    assert load_settings().threads >= 1


def test_without_a_bundle_nothing_is_written(tmp_path: Path) -> None:
    out = tmp_path / "minuend.env"

    run("tune", "--bundle", tmp_path / "missing", "--out", out, code=1)

    assert not out.exists()


def test_the_json_has_each_choice(tiny_bundle_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "minuend.env"

    output = run_json("tune", "--bundle", tiny_bundle_path, "--out", out, "--seconds", 0.1)

    written = dict(re.findall(r"^MINUEND_(\w+)=(.*)$", out.read_text("utf-8"), re.MULTILINE))
    assert {c["setting"].upper(): c["value"] for c in output["choices"]} == written
