"""nginx of the compose file in front of the service: TLS, limits on bodies and on time."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import synth
from compose_stack import Stack, docker, free_port

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

LARGEST_BODY_BYTES = 256 * 1024 * 1024
BODY_TIMEOUT_S = 30
TONE = synth.encode(synth.tone(450))


class Proxy:
    """A service and the nginx before it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.certificate = folder / "tls.crt"
        name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        files = ("-keyout", str(folder / "tls.key"), "-out", str(self.certificate))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *name, *files],
            check=True,
            capture_output=True,
        )
        self.stack = Stack("minuend-test-proxy", MINUEND_TLS=folder, MINUEND_PUBLISH_TLS=self.port)
        self.client = self.make_client()

    def make_client(self, **options: ssl.TLSVersion) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.certificate))
        for name, value in options.items():
            setattr(context, name, value)
        url = f"https://localhost:{self.port}"
        return httpx.Client(base_url=url, verify=context, timeout=60, trust_env=False)

    def wait_until_ready(self) -> None:
        self.stack.wait_until_ready(self.client)

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.certificate))
        connection = socket.create_connection(("localhost", self.port), timeout=120)
        return context.wrap_socket(connection, server_hostname="localhost")


@pytest.fixture(scope="module")
def proxy(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    proxy = Proxy(tmp_path_factory.mktemp("tls"))
    try:
        proxy.stack.up("proxy")
        proxy.wait_until_ready()
        yield proxy
    finally:
        proxy.client.close()
        proxy.stack.down()


def test_the_calls_are_answered_over_tls(proxy: Proxy) -> None:
    page = proxy.client.get("/")
    embedded = proxy.client.post("/embed", files={"audio": TONE})

    assert "<title>Minuend</title>" in page.text
    assert page.headers["strict-transport-security"] == "max-age=31536000"
    assert embedded.status_code == 200
    assert len(embedded.headers["x-request-id"]) == 32


def test_an_unknown_certificate_is_refused(proxy: Proxy) -> None:
    with (
        httpx.Client(trust_env=False) as stranger,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        stranger.get(f"https://localhost:{proxy.port}/readyz")


def test_old_tls_and_plain_http_are_refused(proxy: Proxy) -> None:
    plain = httpx.get(f"http://localhost:{proxy.port}/readyz", trust_env=False)

    assert plain.status_code == 400
    old = ssl.TLSVersion.TLSv1_1
    with (
        pytest.warns(DeprecationWarning, match="TLSv1_1"),
        proxy.make_client(minimum_version=old, maximum_version=old) as client,
        pytest.raises(httpx.ConnectError),
    ):
        client.get("/readyz")


def test_a_body_over_the_limit_is_refused_before_it_is_sent(proxy: Proxy) -> None:
    with proxy.connect() as connection:
        length = LARGEST_BODY_BYTES + 1
        head = f"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode())

        assert connection.recv(65_536).startswith(b"HTTP/1.1 413")


def test_a_large_body_reaches_the_service(proxy: Proxy) -> None:
    long = synth.encode(synth.noise(0, 1000.0))  # 32 MB

    answer = proxy.client.post("/embed", files={"audio": long})

    assert answer.status_code == 200
    assert answer.json()["embeddings"][0]["duration_s"] == 1000.0


def test_a_client_that_stops_sending_is_disconnected(proxy: Proxy) -> None:
    start = time.monotonic()
    with proxy.connect() as connection:
        head = b"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n"
        connection.sendall(head + TONE[:100])

        answer = connection.recv(65_536)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - start >= BODY_TIMEOUT_S - 1


def test_a_recreated_service_is_reached(proxy: Proxy) -> None:
    before = proxy.stack.inspect()["NetworkSettings"]["Networks"]
    proxy.stack.compose("stop", "minuend")
    proxy.stack.compose("rm", "--force", "minuend")
    # Another container takes the released address.
    (network,) = before
    other = docker("run", "--detach", "--rm", f"--network={network}", "nginx:1.26").strip()
    try:
        proxy.stack.up()
        proxy.wait_until_ready()
    finally:
        docker("rm", "--force", other)

    after = proxy.stack.inspect()["NetworkSettings"]["Networks"]
    assert after[network]["IPAddress"] != before[network]["IPAddress"]
