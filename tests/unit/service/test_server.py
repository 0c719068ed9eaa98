"""Failing starts; `tests/e2e/test_server.py` tests a running and stopping server."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from service.__main__ import main
from service.server import serve
from service.settings import Settings

pytestmark = pytest.mark.usefixtures("restored_logging")


def startup_error(capsys: pytest.CaptureFixture[str], **settings: Any) -> str:
    """Return the last line on standard error of a server that cannot start."""
    assert serve(Settings(threads=1, **settings)) == 1
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message.splitlines()[-1]


def test_a_missing_bundle_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = startup_error(
        capsys, port=0, bundle=tmp_path / "nowhere", library=tmp_path / "library"
    )

    assert message.startswith("minuend cannot start: ")
    assert str(tmp_path / "nowhere") in message


def test_a_library_that_cannot_be_opened_is_named(
    capsys: pytest.CaptureFixture[str], tiny_bundle_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")

    message = startup_error(capsys, port=0, bundle=tiny_bundle_path, library=tmp_path / "file")

    assert str(tmp_path / "file") in message


def test_a_port_in_use_is_reported_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = startup_error(capsys, port=port, bundle=tmp_path / "nowhere")

    assert f"port {port}" in message
    assert "nowhere" not in message


def test_an_address_of_another_machine_is_reported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "cannot listen on 192.0.2.1" in startup_error(capsys, host="192.0.2.1", bundle=tmp_path)


def test_a_misspelt_setting_is_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINUEND_LIBARY", "library")

    assert main() == 1
    assert "did you mean MINUEND_LIBRARY?" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["half a li", None])
def test_a_broken_file_of_keys_is_reported_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str | None
) -> None:
    keys = tmp_path / "keys.txt"
    if content is not None:
        keys.write_text(content)

    assert serve(Settings(threads=1, port=0, keys=keys)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("minuend cannot start: ")
    assert str(keys) in line
