"""Slow and idle clients hold neither the service nor its memory; connections have a cap."""

from __future__ import annotations

import json
import re
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import synth
from raw_http import RawConnection
from server_process import Server, running

pytestmark = pytest.mark.e2e

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
TONE = synth.encode(synth.tone(300))
LONG = synth.encode(synth.noise(0, 300.0))
"""10 MB, more than the kernel keeps for a client that does not read."""
SOON_S = 8.0
"""Much more than the limits below, and much less than those of the service by default."""
MAX_CONNECTIONS = 20


def upload(n_bytes: int, path: str = "/embed") -> bytes:
    """Return the head of an upload."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {n_bytes}\r\n\r\n"
    return head.encode()


@pytest.fixture(scope="module")
def server(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limits = {
        "head_timeout_s": 1,
        "body_timeout_s": 2,
        "max_requests": 2,
        "max_pending_bytes": 30_000_000,
        "max_connections": MAX_CONNECTIONS,
    }
    with running(tiny_bundle_path, tmp_path_factory.mktemp("library"), **limits) as server:
        assert server.client.put("/clips/long", content=LONG).status_code == 201
        yield server


def closures(server: Server, reason: str) -> float:
    """Return how many connections the server closed for a reason."""
    name = f'minuend_connection_closures_total{{reason="{reason}"}}'
    lines = server.client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


@pytest.mark.parametrize("start", [b"GE", GET[:30], GET[:-2], GET + b"GET /hea", b"\r\n"])
def test_an_incomplete_head_times_out(server: Server, start: bytes) -> None:
    with RawConnection(server.port, SOON_S) as connection:
        connection.send(start)
        if start.startswith(GET):
            assert connection.read().status == 200
        answer = connection.read()

        assert (answer.status, answer.problem["code"]) == (408, "head_timeout")
        assert connection.is_closed(within_s=SOON_S)


def test_bytes_of_a_head_now_and_then_do_not_help(server: Server) -> None:
    with RawConnection(server.port, SOON_S) as connection:
        dripping = dripped(connection, GET[:-2], 0.2)
        assert connection.read().problem["code"] == "head_timeout"
        dripping.join()


def dripped(connection: RawConnection, data: bytes, pause_s: float) -> threading.Thread:
    """Send bytes one by one until the connection is closed."""

    def drip() -> None:
        for n in range(len(data)):
            try:
                connection.send(data[n : n + 1])
            except OSError:
                return
            time.sleep(pause_s)

    thread = threading.Thread(target=drip)
    thread.start()
    return thread


def test_a_body_that_comes_too_slowly_is_refused(server: Server) -> None:
    with RawConnection(server.port, SOON_S) as connection:
        connection.send(upload(len(TONE)))
        dripping = dripped(connection, TONE[:50], 0.3)
        answer = connection.read()
        dripping.join()

    assert (answer.status, answer.problem["code"]) == (408, "body_timeout")
    assert "at least 1024 a second" in answer.problem["detail"]


def test_a_long_body_at_a_fair_rate_is_taken(server: Server) -> None:
    with RawConnection(server.port, SOON_S) as connection:
        connection.send(upload(len(TONE)))
        for n in range(5):
            connection.send(TONE[n * 1000 : (n + 1) * 1000])
            time.sleep(0.5)
        connection.send(TONE[5000:])

        assert connection.read().status == 200


@pytest.mark.parametrize("n_sent", [0, 1, 1000])
def test_slow_uploads_keep_no_other_request_out(server: Server, n_sent: int) -> None:
    with ExitStack() as opened:
        for _ in range(10):
            connection = opened.enter_context(RawConnection(server.port, SOON_S))
            connection.send(upload(10_000_000) + TONE[:n_sent])
        time.sleep(0.2)
        statuses = [server.client.post("/embed", content=TONE).status_code for _ in range(3)]

    assert statuses == [200] * 3


def test_bodies_that_arrive_together_have_at_most_the_allowed_bytes(server: Server) -> None:
    with ExitStack() as opened:
        connections = []
        for _ in range(5):
            connection = opened.enter_context(RawConnection(server.port, SOON_S))
            connection.send(upload(12_000_000))
            connections.append(connection)
        time.sleep(0.2)
        for connection in connections:
            connection.send_until_closed(bytes(1_000_000), 11_000_000)
        answer = connections[-1].read()

    assert (answer.status, answer.problem["code"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"


def test_an_unwanted_body_does_not_keep_the_connection(server: Server) -> None:
    with RawConnection(server.port, SOON_S) as connection:
        connection.send(upload(10_000_000, "/nowhere"))
        dripping = dripped(connection, bytes(100), 0.2)

        assert connection.read().status == 404
        assert connection.is_closed(within_s=SOON_S)
        dripping.join()


def test_an_answer_that_nobody_reads_is_given_up(server: Server) -> None:
    before = closures(server, "unread")
    with RawConnection(server.port, SOON_S) as connection:
        connection.send(GET.replace(b"/healthz", b"/clips/long/audio"))
        end = time.monotonic() + SOON_S
        while closures(server, "unread") == before and time.monotonic() < end:
            time.sleep(0.1)

    assert closures(server, "unread") == before + 1


def test_idle_connections_make_room_for_new_ones(server: Server) -> None:
    before = closures(server, "evicted")
    with ExitStack() as opened:
        idle = [
            opened.enter_context(RawConnection(server.port, SOON_S))
            for _ in range(3 * MAX_CONNECTIONS)
        ]
        with RawConnection(server.port, SOON_S) as connection:
            connection.send(GET)
            assert connection.read().status == 200
        assert idle[0].is_closed(within_s=SOON_S)
        idle[-1].send(GET)
        assert idle[-1].read().status == 200

    assert closures(server, "evicted") >= before + 2 * MAX_CONNECTIONS


def test_probes_are_answered_while_all_connections_are_busy(server: Server) -> None:
    with ExitStack() as opened:
        busy = []
        for _ in range(MAX_CONNECTIONS):
            busy.append(opened.enter_context(RawConnection(server.port, SOON_S)))
            busy[-1].send(upload(len(TONE)) + TONE[:5000])
        time.sleep(0.2)
        answers = {}
        for path in ("/healthz", "/readyz", "/metrics", "/clips"):
            for connection in busy:
                connection.send(b"\0")
            with RawConnection(server.port, SOON_S) as probe:
                probe.send(GET.replace(b"/healthz", path.encode()))
                answers[path] = probe.read()

    assert [answer.status for answer in answers.values()] == [200, 200, 200, 503]
    assert answers["/clips"].problem["code"] == "overloaded"
    assert answers["/clips"].headers["connection"] == "close"


def test_a_stop_does_not_wait_for_idle_clients(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with running(tiny_bundle_path, tmp_path) as server, ExitStack() as opened:
        for start in (b"", GET[:10], GET):
            opened.enter_context(RawConnection(server.port)).send(start)
        time.sleep(0.2)
        start_s = time.monotonic()

        assert server.stop() == 0
        assert time.monotonic() - start_s < SOON_S


def test_a_lack_of_file_descriptors_is_one_log_line_a_second(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    with running(tiny_bundle_path, tmp_path) as server, ExitStack() as opened:
        lines: list[str] = []
        assert server.process.stderr is not None
        reader = threading.Thread(target=lines.extend, args=(server.process.stderr,))
        reader.start()
        pid = server.process.pid
        n_open = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (n_open + 5, n_open + 5))
        start_s = time.monotonic()
        for _ in range(15):
            opened.enter_context(RawConnection(server.port))
        with RawConnection(server.port) as connection:
            connection.send(GET)
            assert connection.read().status == 200
        took_s = time.monotonic() - start_s
        server.stop()
        reader.join()

    assert all(json.loads(line) for line in lines)
    complaints = [line for line in lines if re.search("accept", line)]
    assert 1 <= len(complaints) <= took_s + 2
    assert len(lines) < 100
