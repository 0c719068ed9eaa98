from __future__ import annotations

import socket
from pathlib import Path

import pytest

from service.cli.demo.server import HOST, Server, choose_port
from service.errors import StartupError


def make(tmp_path: Path, bundle: Path) -> Server:
    return Server(
        port=choose_port(0),
        bundle=bundle,
        library=tmp_path / "library",
        create=True,
        device="cpu",
        log=tmp_path / "service.log",
    )


def test_a_free_port_is_chosen_instead_of_a_used_one() -> None:
    with socket.socket() as used:
        used.bind((HOST, 0))
        used.listen()
        port = used.getsockname()[1]

        assert choose_port(port) != port
    assert choose_port(port) == port


def test_the_reason_of_a_failed_start_is_in_the_error(tmp_path: Path) -> None:
    with (
        pytest.raises(StartupError, match=r"exit code 1: minuend cannot start: .* is no bundle"),
        make(tmp_path, tmp_path) as server,
    ):
        server.wait_ready()


def test_an_interrupt_stops_a_service_that_is_still_starting(
    tmp_path: Path, tiny_bundle_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt), make(tmp_path, tiny_bundle_path) as server:
        raise KeyboardInterrupt

    with pytest.raises(StartupError, match="the service ended"):
        server.wait()
