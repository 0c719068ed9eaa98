"""A load generator on loopback, with a number of clients or a number of requests per second.

It runs as its own process, so that its own cost can be measured:

    python benchmarks/load.py '{"port": 8000, "clients": 16, "seconds": 10, "duration_s": [5.0]}'
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import results
from clips import SAMPLE_RATE_HZ, make_mixed_clips

HOST = "127.0.0.1"
MAX_CONNECTIONS = 1000
BOUNDARY = "minuend-benchmark"


@dataclass(frozen=True)
class Load:
    """The requests to send.

    Attributes:
        port: Port of the server.
        seconds: Duration of the load [s].
        clients: Clients that each send one request after another; not used with `rate_hz`.
        rate_hz: Requests per second, independent of the answers.
        ramp_s: Time over which the clients start, one by one; it is not measured [s].
        duration_s: Lengths of the clips, used alternately [s].
        sample_rate_hz: Sample rate of the clips [Hz].
        path: Path of the request.
        part: Name of the file in a form; the body is raw if it is empty.
        headers: Further headers.
    """

    port: int
    seconds: float
    clients: int = 1
    rate_hz: float = 0.0
    ramp_s: float = 0.0
    duration_s: list[float] = field(default_factory=lambda: [5.0])
    sample_rate_hz: int = SAMPLE_RATE_HZ
    path: str = "/embed"
    part: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """The answers.

    Attributes:
        times_ms: Time of each answer with status 200 [ms].
        statuses: Number of answers of each status.
        sent_in_s: Time until the last request was sent, if they are sent at a rate [s].
    """

    times_ms: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    sent_in_s: float | None = None

    def add(self, status: str, elapsed_s: float) -> None:
        """Count an answer."""
        self.statuses[status] += 1
        if status == "200":
            self.times_ms.append(1000 * elapsed_s)

    def figures(self, load: Load, elapsed_s: float, cpu_s: float) -> dict[str, Any]:
        """Compute the figures of the results file."""
        times = sorted(self.times_ms) or [0.0]
        return {
            "clients": load.clients if not load.rate_hz else None,
            "offered_per_s": load.rate_hz or None,
            "clips_per_s": round(len(self.times_ms) / elapsed_s, 2),
            "p50_ms": round(statistics.median(times), 2),
            "p99_ms": round(times[min(len(times) - 1, int(0.99 * len(times)))], 2),
            "statuses": dict(self.statuses),
            "seconds": round(elapsed_s, 2),
            "sent_in_s": self.sent_in_s and round(self.sent_in_s, 2),
            "generator_cpu_s": round(cpu_s, 2),
        }


def run(load: Load) -> dict[str, Any]:
    """Run a load in its own process and return its figures."""
    return results.run_script(__file__, asdict(load), timeout_s=load.seconds + 180)


def main() -> None:
    """Run the load that the argument describes and print its figures as JSON."""
    load = Load(**json.loads(sys.argv[1]))
    requests = itertools.cycle(make_requests(load))
    outcome = Outcome()
    start, start_cpu = time.perf_counter(), time.process_time()
    sending = send_at_rate if load.rate_hz else send_by_clients
    asyncio.run(sending(load, requests, outcome))
    elapsed_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    # With a ramp, requests that began after it are counted over the duration; without one, all
    # requests are counted until the last answer.
    figures = outcome.figures(load, load.seconds if load.ramp_s else elapsed_s, cpu_s)
    sys.stdout.write(json.dumps(figures))


def make_requests(load: Load) -> list[bytes]:
    """Write the bytes of all requests in advance, so that only sending is measured."""
    clips = make_mixed_clips(load.duration_s, rate_hz=load.sample_rate_hz)
    return [make_request(load, clip) for clip in clips]


def make_request(load: Load, clip: bytes) -> bytes:
    """Write one request."""
    media_type, body = "audio/wav", clip
    if load.part:
        media_type = f"multipart/form-data; boundary={BOUNDARY}"
        head = (
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
            f'name="{load.part}"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
        )
        body = head.encode() + clip + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {"host": HOST, "content-type": media_type, **load.headers}
    lines = [f"POST {load.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


class Connection:
    """A connection that stays open between requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> str:
        """Send a request and return the status of the answer.

        A connection that the server closed while it was idle is opened again, as all clients do.
        """
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port, limit=2**20)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = head.split(" ", 2)[1]
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        if "content-length" in fields:
            await reader.readexactly(int(fields["content-length"]))
        else:
            await read_chunks(reader)
        if fields.get("connection") == "close":
            self.close()
        return status

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def read_chunks(reader: asyncio.StreamReader) -> None:
    """Read a chunked body."""
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
    await reader.readline()


async def send_by_clients(load: Load, requests: Iterator[bytes], outcome: Outcome) -> None:
    """Send the next request of each client as soon as its last one is answered."""
    begin = time.perf_counter() + load.ramp_s
    end = begin + load.seconds

    async def client(number: int) -> None:
        await asyncio.sleep(load.ramp_s * number / load.clients)
        connection = Connection(load.port)
        while (start := time.perf_counter()) < end:
            status = await attempt(connection, next(requests))
            if start >= begin:
                outcome.add(status, time.perf_counter() - start)
        connection.close()

    await asyncio.gather(*(client(number) for number in range(load.clients)))


async def send_at_rate(load: Load, requests: Iterator[bytes], outcome: Outcome) -> None:
    """Send requests at equal intervals, each on a free connection."""
    free: list[Connection] = []
    sending: set[asyncio.Task[None]] = set()

    async def one(due: float) -> None:
        connection = free.pop() if free else Connection(load.port)
        outcome.add(await attempt(connection, next(requests)), time.perf_counter() - due)
        free.append(connection)

    start = time.perf_counter()
    for n in range(int(load.rate_hz * load.seconds)):
        due = start + n / load.rate_hz
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if len(sending) >= MAX_CONNECTIONS:
            outcome.statuses["not sent"] += 1
            continue
        task = asyncio.create_task(one(time.perf_counter()))
        sending.add(task)
        task.add_done_callback(sending.discard)
    outcome.sent_in_s = time.perf_counter() - start
    await asyncio.gather(*sending)
    for connection in free:
        connection.close()


async def attempt(connection: Connection, request: bytes) -> str:
    """Send a request and return its status, or the name of the connection error."""
    try:
        return await connection.send(request)
    except (OSError, asyncio.IncompleteReadError) as error:
        connection.close()
        return type(error).__name__


if __name__ == "__main__":
    main()
