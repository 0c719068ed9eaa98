"""The real server and its decoders: what they have, what they print, and when they end."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import decoder_corpus
import pytest
import synth
from server_process import Server, running

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux only"),
]

WAIT_S = 20


def descendants(pid: int) -> list[int]:
    """List the processes below a process, parents first."""
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return children + [each for child in children for each in descendants(child)]


def embed(server: Server, data: bytes) -> int:
    return server.client.post("/embed", files={"audio": data}).status_code


def wait_until_gone(pids: list[int]) -> None:
    end = time.monotonic() + WAIT_S
    while left := [pid for pid in pids if is_running(pid)]:
        assert time.monotonic() < end, left
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_decoders_have_no_listener_and_end_with_the_service(
    tiny_bundle_path: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with running(tiny_bundle_path, tmp_path / "library", decode="process") as server:
        assert embed(server, synth.encode(synth.noise(0))) == 200
        pids = descendants(server.process.pid)
        assert len(pids) == 3  # the server that forks, and two decoders
        listener = f"socket:[{listening_inode(server.port)}]"
        for pid in pids:
            links = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
            assert listener not in links
        server.stop(number)
        wait_until_gone(pids)


def listening_inode(port: int) -> str:
    """Return the inode of the socket that listens on a port of the loopback interface."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return next(row[9] for row in rows if row[1] == f"0100007F:{port:04X}" and row[3] == "0A")


def test_the_service_outlives_its_decoders_and_prints_only_json(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    with running(tiny_bundle_path, tmp_path / "library", decode="process") as server:
        assert embed(server, decoder_corpus.damaged_mp3()) == 200
        for pid in descendants(server.process.pid):  # the server that forks too
            os.kill(pid, signal.SIGKILL)
        assert embed(server, synth.encode(synth.noise(1))) == 200
        assert embed(server, synth.encode(synth.noise(2))) == 200
        server.stop()
        assert server.process.stderr is not None
        records = [json.loads(line) for line in server.process.stderr]
    assert [record for record in records if record.get("decoder_messages")]
