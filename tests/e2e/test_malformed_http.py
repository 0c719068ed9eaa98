"""What is not HTTP/1.1, or is ambiguous or too large, gets problem details and is closed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from raw_http import Answer, RawConnection
from server_process import Server, running

pytestmark = pytest.mark.e2e

POST = b"POST /embed HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGEST_GROWTH_BYTES = 30e6
"""The flood has 600 MB; the rest is what the allocator and asyncio hold."""

MALFORMED = {
    "no request": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "unknown method": b"BREW /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another version": b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "a proxy's method": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no path": b"GET healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no host": b"GET /clips HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /clips HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "bytes in the path": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "length and chunks": POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "chunks and length": POST + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "equal lengths": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a list of lengths": POST + b"Content-Length: 1, 1\r\n\r\na",
    "a signed length": POST + b"Content-Length: +1\r\n\r\na",
    "a huge length": POST + b"Content-Length: 99999999999999999999\r\n\r\na",
    "a coded body": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /embed HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "a folded header": POST + b"X-A: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a bare carriage return": POST + b"X-A: a\rb\r\nContent-Length: 0\r\n\r\n",
    "a bare line feed": POST + b"X-A: a\nContent-Length: 5\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 5\r\n\r\n",
    "a zero byte": POST + b"X-A: a\0b\r\n\r\n",
    "a chunk without a size": POST + CHUNKED + b"\r\nxyz\r\n",
    "a chunk of a huge size": POST + CHUNKED + b"\r\n" + b"f" * 20 + b"\r\n",
    "a chunk that is too long": POST + CHUNKED + b"\r\n1\r\nabc\r\n0\r\n\r\n",
    "extensions of chunks": POST + CHUNKED + b"\r\n" + (b"1;" + b"a" * 900 + b"\r\nx\r\n") * 1000,
    "a wrong chunk before the continuation": POST
    + b"Expect: 100-continue\r\n"
    + CHUNKED
    + b"\r\nxyz\r\n",
    "endless trailers": POST + CHUNKED + b"\r\n0\r\n" + b"X-A: aaaaaaaaaaaaaaaa\r\n" * 50_000,
}
TOO_LARGE = {
    "request line": b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "one header": GET[:-2] + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n",
    "all headers": GET[:-2] + (b"X-A: " + b"a" * 1000 + b"\r\n") * 40 + b"\r\n",
    "number of headers": GET[:-2] + b"X-A: a\r\n" * 100 + b"\r\n",
}


@pytest.fixture(scope="module")
def server(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tiny_bundle_path, tmp_path_factory.mktemp("library")) as server:
        yield server


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_refused(server: Server, request_: bytes) -> None:
    with RawConnection(server.port) as connection:
        connection.send(request_)
        answer = connection.read()

        assert answer.status == 400
        assert answer.problem["code"] == "request_malformed"
        assert answer.problem["request_id"] == answer.headers["x-request-id"]
        assert set(answer.problem) == {
            *("type", "title", "status", "detail", "instance", "code", "request_id")
        }


@pytest.mark.parametrize("name", sorted(set(MALFORMED) - {"no host", "two hosts"}))
def test_nothing_after_a_malformed_request_is_read(server: Server, name: str) -> None:
    with RawConnection(server.port) as connection:
        connection.send(MALFORMED[name])
        assert connection.read().headers["connection"] == "close"

        assert connection.is_closed(within_s=5)


@pytest.mark.parametrize("request_", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_large_head_is_refused(server: Server, request_: bytes) -> None:
    with RawConnection(server.port) as connection:
        connection.send(request_)
        answer = connection.read()

        assert (answer.status, answer.problem["code"]) == (431, "head_too_large")
        assert connection.is_closed(within_s=5)


FLOODS = {
    "a header": (GET[:-2] + b"X-A: ", b"a" * 1_000_000),
    "headers": (GET[:-2], b"X-A: aaaaaaaaaaaaaaaa\r\n" * 50_000),
    "a header after a request": (b"", (GET + GET[:-2] + b"X-A: ").ljust(260_000, b"a")),
    "a request line": (b"GET /", b"a" * 1_000_000),
    "empty lines": (b"", b"\r\n" * 500_000),
    "an extension": (POST + CHUNKED + b"\r\n1;", b"a" * 1_000_000),
    "a trailer": (POST + CHUNKED + b"\r\n0\r\nX-A: ", b"a" * 1_000_000),
}


@pytest.mark.parametrize(("start", "piece"), FLOODS.values(), ids=FLOODS)
def test_a_flood_without_an_end_takes_no_memory(server: Server, start: bytes, piece: bytes) -> None:
    def send(connection: RawConnection) -> int:
        connection.send(start)
        return connection.send_until_closed(piece, 150_000_000)

    before = server.memory_bytes()
    with ExitStack() as opened, ThreadPoolExecutor() as threads:
        connections = [opened.enter_context(RawConnection(server.port)) for _ in range(4)]
        floods = [threads.submit(send, connection) for connection in connections]
        largest = before
        while not all(it.done() for it in floods):
            largest = max(largest, server.memory_bytes())
            time.sleep(0.05)

    assert max(it.result() for it in floods) < 150_000_000
    assert largest - before < LARGEST_GROWTH_BYTES


def test_requests_of_the_largest_allowed_head_are_answered(server: Server) -> None:
    head = GET[:-2] + b"X-A: a\r\n" * 98 + b"X-B: " + b"a" * 30_000 + b"\r\n\r\n"
    with RawConnection(server.port) as connection:
        connection.send(head[:20_000])
        connection.send(head[20_000:] + head)

        assert [connection.read().status, connection.read().status] == [200, 200]


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    paths = ["/healthz", "/nowhere", "/clips", "/readyz"] * 3
    requests = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in paths]
    with RawConnection(server.port) as connection:
        connection.send(b"".join(requests))
        answers = [connection.read() for _ in paths]
        connection.send(GET)

        assert [answer.status for answer in answers] == [200, 404, 200, 200] * 3
        assert connection.read().status == 200


def answers_until_closed(connection: RawConnection) -> Iterator[Answer]:
    try:
        while True:
            yield connection.read()
    except (EOFError, ConnectionError):
        return


def test_a_long_pipeline_is_answered_in_part_and_closed(server: Server) -> None:
    with RawConnection(server.port) as connection:
        connection.send(GET * 10_000)
        answers = list(answers_until_closed(connection))

    *answered, last = answers
    assert 10 < len(answered) < 30
    assert {answer.status for answer in answered} == {200}
    assert last.problem["code"] == "request_malformed"
    assert "wait for an earlier answer" in last.problem["detail"]


def test_a_malformed_request_is_refused_after_the_earlier_ones_are_answered(
    server: Server,
) -> None:
    with RawConnection(server.port) as connection:
        connection.send(GET + GET + b"BREW / HTTP/1.1\r\n\r\n" + GET)
        answers = [connection.read() for _ in range(3)]

        assert [answer.status for answer in answers] == [200, 200, 400]
        assert connection.is_closed(within_s=5)


def test_an_upgrade_is_declined_and_the_connection_goes_on(server: Server) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    with RawConnection(server.port) as connection:
        connection.send(GET[:-2] + upgrade + b"\r\n" + GET)

        assert [connection.read().status, connection.read().status] == [200, 200]


def test_trailers_are_ignored(server: Server) -> None:
    body = b"\r\n1;name=value\r\n{\r\n1\r\n}\r\n0\r\nAuthorization: Bearer x\r\nX-A: b\r\n\r\n"
    kind = b"Content-Type: application/json\r\n"
    with RawConnection(server.port) as connection:
        connection.send(
            b"POST /search HTTP/1.1\r\nHost: localhost\r\n" + kind + CHUNKED + body + GET
        )

        assert connection.read().problem["code"] == "query_incomplete"
        assert connection.read().status == 200


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        (b"http://localhost/clips?limit=1", b"localhost", 200),
        (b"http://127.0.0.1:80", b"127.0.0.1", 200),
        (b"http://rebound.example/clips", b"localhost", 403),
        (b"http://localhost/clips", b"rebound.example", 200),
    ],
)
def test_the_host_of_a_whole_url_is_the_one_that_counts(
    server: Server, target: bytes, host: bytes, status: int
) -> None:
    with RawConnection(server.port) as connection:
        connection.send(b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")

        assert connection.read().status == status


def test_options_of_the_whole_server_are_told(server: Server) -> None:
    with RawConnection(server.port) as connection:
        connection.send(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")

        assert connection.read().status == 204
