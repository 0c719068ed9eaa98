from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from recorder import recording
from service_client import Client

from service.cli.demo.call import Call


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a sound.wav"
    path.write_bytes(b"RIFF\r\n--\0")
    return path


def test_the_curl_command_is_quoted_for_a_shell(file: Path) -> None:
    call = Call("/search", {"audio": file}, {"k": 3})

    assert shlex.split(call.curl("http://host:1")) == [
        *("curl", "-s", "-F", f"audio=@{file}", "-F", "k=3"),
        "http://host:1/search",
    ]
    assert "'audio=@a sound.wav'" in call.curl("", show=lambda path: path.name)


def test_the_service_can_read_the_form(client: Client, file: Path) -> None:
    """The request is recorded by a server, and its body is then sent to the service."""
    call = Call("/search", {"audio": file}, {"k": 0})

    with recording(422, b'{"code": "x"}') as (port, recorded):
        reply = call.send(port)

    ((path, media_type, content),) = recorded
    assert (reply.status, reply.body) == (422, {"code": "x"})
    assert reply.duration_s > 0
    assert file.read_bytes() in content
    answer = client.post(path, content=content, headers={"content-type": media_type})
    assert answer.json()["code"] == "k_out_of_range"
