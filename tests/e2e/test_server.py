from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import synth
from server_process import Server, running

pytestmark = pytest.mark.e2e

SOUNDS = {
    "low": synth.encode(synth.tone(300)),
    "high": synth.encode(synth.tone(2700), form="FLAC"),
    "noise": synth.encode(synth.noise(0), form="OGG"),
}


def put_all(server: Server) -> None:
    for name, content in SOUNDS.items():
        assert server.client.put(f"/clips/{name}", files={"audio": content}).status_code == 201


def nearest(server: Server) -> list[tuple[str, float]]:
    answers = [server.client.post("/search", files={"audio": it}) for it in SOUNDS.values()]
    hits = [answer.json()["hits"][0] for answer in answers]
    return [(hit["clip_id"], hit["score"]) for hit in hits]


def test_clips_find_themselves_before_and_after_a_restart(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    with running(tiny_bundle_path, tmp_path / "library") as server:
        put_all(server)
        before = nearest(server)
        assert server.client.get("/readyz").status_code == 200
        assert server.stop(signal.SIGTERM) == 0

    with running(tiny_bundle_path, tmp_path / "library") as server:
        assert nearest(server) == before
        assert server.stop(signal.SIGINT) == 0

    assert [clip_id for clip_id, _ in before] == list(SOUNDS)


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux has it")
def test_threads_of_the_server_do_not_preempt_each_other(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    with running(tiny_bundle_path, tmp_path / "library") as server:
        put_all(server)
        threads = [int(it.name) for it in Path(f"/proc/{server.process.pid}/task").iterdir()]
        policies = [os.sched_getscheduler(thread) for thread in sorted(threads)]

        # The first one answers; those that libraries begin at their import come before the rest.
        assert policies[0] == policies[-1] == os.SCHED_BATCH


def test_a_killed_server_has_all_it_acknowledged(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with running(tiny_bundle_path, tmp_path / "library") as server:
        put_all(server)
        server.stop(signal.SIGKILL)

    with running(tiny_bundle_path, tmp_path / "library") as server:
        assert [clip_id for clip_id, _ in nearest(server)] == list(SOUNDS)


def test_a_request_under_way_is_answered_before_the_server_stops(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    content = SOUNDS["low"]
    length = f"Content-Length: {len(content)}\r\n\r\n"
    head = f"POST /embed HTTP/1.1\r\nHost: localhost\r\n{length}".encode()
    with (
        running(tiny_bundle_path, tmp_path) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection,
    ):
        connection.sendall(head + content[:100])
        _wait_until_in_flight(server)
        server.process.send_signal(signal.SIGTERM)
        _wait_until_closed(server.port)
        connection.sendall(content[100:])
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"}")
        assert server.process.wait(60) == 0


def _wait_until_in_flight(server: Server) -> None:
    # The scrape itself is one of the two.
    while "minuend_requests_in_flight 2.0" not in server.client.get("/metrics").text:
        pass


def _wait_until_closed(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return


@pytest.fixture
def small(tiny_bundle_path: Path, tmp_path: Path) -> Iterator[Server]:
    """A server that takes bodies of up to 100 kB."""
    with running(tiny_bundle_path, tmp_path, max_body_bytes=100_000) as server:
        yield server


def test_a_client_that_sends_too_much_reads_why(small: Server) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(300):
            yield bytes(100_000)

    declared = small.client.post("/embed", content=bytes(30_000_000))
    undeclared = small.client.post("/embed", content=chunks())
    unread = small.client.post("/nowhere", content=bytes(90_000))
    after = small.client.post("/embed", content=SOUNDS["low"])

    codes = [answer.json().get("code") for answer in (declared, undeclared, unread)]
    assert codes == ["body_too_large", "body_too_large", "not_found"]
    assert after.status_code == 200


def test_a_client_that_leaves_harms_nothing(small: Server) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", small.port)) as connection:
            connection.sendall(
                b"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\nRIFF"
            )

    assert small.client.post("/embed", content=SOUNDS["low"]).status_code == 200
