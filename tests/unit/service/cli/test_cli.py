from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from shell import run

SLOW_IMPORTS = (
    "numpy",
    "pydantic",
    "fastapi",
    "onnxruntime",
    "faiss",
    "soundfile",
    "tqdm",
    "pyarrow",
)


def test_help_imports_nothing_slow() -> None:
    code = (
        "import sys, service.cli\n"
        "try: service.cli.main(['search', '--help'])\n"
        "except SystemExit: pass\n"
        f"sys.exit(' '.join(set({SLOW_IMPORTS!r}) & set(sys.modules)) or None)"
    )

    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.parametrize("name", ["index", "embed", "search", "diff"])
def test_a_missing_bundle_is_one_line_and_exit_code_1(name: str, tmp_path: Path) -> None:
    sound = tmp_path / "sound.wav"
    sound.touch()
    arguments = {
        "index": [tmp_path, "--library", tmp_path / "library"],
        "embed": [sound, "--out", tmp_path / "x.npz"],
        "search": ["--audio", sound],
        "diff": [sound, sound],
    }[name]

    result = run(name, *arguments, "--bundle", tmp_path / "none", code=1)

    (line,) = result.stderr.splitlines()
    assert f"there is no bundle at {tmp_path / 'none'}" in line
    assert "--bundle" in line


def test_an_invalid_setting_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUEND_THREADS", "many")

    assert "MINUEND_THREADS" in run("check", code=1).stderr


def test_an_error_of_the_system_is_one_line(tmp_path: Path, tiny_bundle_path: Path) -> None:
    (tmp_path / "library").touch()

    result = run(
        "index", tmp_path, "--library", tmp_path / "library", "--bundle", tiny_bundle_path, code=1
    )

    assert len(result.stderr.splitlines()) == 1
