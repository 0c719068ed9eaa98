"""A normal client of the service beside many hostile ones.

    .venv/service/bin/python benchmarks/hostile_clients.py [SECONDS]

A normal client sends one request after another, in turn with and without hostile clients: 1,000
idle connections, 64 uploads at one byte per 5 s, and 4 floods of headers. A hostile client that the
service closes comes again. All run on this machine, so they take its processor time too.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import results
from clips import make_clips
from services import NPY, Memory, send, service

from service.cli.demo.server import HOST, Server

N_IDLE = 1000
N_UPLOADS = 64
N_FLOODS = 4
PAUSE_S = 5.0
"""Time between two bytes of a slow upload [s]."""
FLOOD_BYTES = 150_000_000
AGAIN_S = 0.1
"""Time after which a hostile client that was closed comes again [s]."""
SETTLE_S = 3.0
"""Time for the hostile clients to connect, and for the service to forget them [s]."""
ROUNDS = 3
CLIP_S = 5.0
MAX_RATIO = 2.0
MAX_GROWTH_MB = 100.0


def main() -> None:
    """Measure and write ``docs/results/hostile_clients.json``."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    quiet: dict[str, list[float]] = {}
    hostile: dict[str, list[float]] = {}
    events: Counter[str] = Counter()
    growth_mb = []
    with service() as server:
        measure(server, 2.0, {})
        idle_mb = Memory(server.pid).idle_mb
        for _ in range(ROUNDS):
            measure(server, seconds, quiet)
            with Memory(server.pid) as memory, hostile_clients(server.port, events):
                measure(server, seconds, hostile)
            growth_mb.append(memory.peak_mb - idle_mb)
            time.sleep(SETTLE_S)
    ratios = {name: p99_ms(hostile[name]) / p99_ms(quiet[name]) for name in quiet}
    results.write(
        "hostile_clients",
        {
            "hostile": {"idle": N_IDLE, "slow_uploads": N_UPLOADS, "header_floods": N_FLOODS},
            "rounds": ROUNDS,
            "seconds_each": seconds,
            "clip_s": CLIP_S,
            "quiet": {name: figures(times_s) for name, times_s in quiet.items()},
            "beside_hostile": {name: figures(times_s) for name, times_s in hostile.items()},
            "p99_ratio": {name: round(ratio, 2) for name, ratio in ratios.items()},
            "idle_mb": round(idle_mb, 1),
            "growth_mb": round(max(growth_mb), 1),
            "events": dict(events),
            "met": max(ratios.values()) <= MAX_RATIO and max(growth_mb) <= MAX_GROWTH_MB,
        },
    )


def measure(server: Server, seconds: float, times_s: dict[str, list[float]]) -> None:
    """Send requests one after another, each on a connection of its own, and add their times [s]."""
    clips = make_clips(4, CLIP_S, seed=0)
    end = time.perf_counter() + seconds
    n_sent = 0
    while time.perf_counter() < end:
        clip = clips[n_sent % len(clips)]
        n_sent += 1
        for name, method, body in (("/embed", "POST", clip), ("/clips", "GET", None)):
            connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
            start = time.perf_counter()
            send(connection, method, name, body, content_type="audio/wav", **NPY)
            times_s.setdefault(f"{method} {name}", []).append(time.perf_counter() - start)
            connection.close()


def figures(times_s: list[float]) -> dict[str, float]:
    """Return the number of requests and the percentiles of their times."""
    return {
        "requests": len(times_s),
        "p50_ms": round(1000 * float(np.percentile(times_s, 50)), 2),
        "p99_ms": round(p99_ms(times_s), 2),
        "max_ms": round(1000 * max(times_s), 2),
    }


def p99_ms(times_s: list[float]) -> float:
    """Return the 99th percentile [ms]."""
    return 1000 * float(np.percentile(times_s, 99))


@contextmanager
def hostile_clients(port: int, events: Counter[str]) -> Iterator[None]:
    """Run the hostile clients in a process of their own; add what happened to them to `events`."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=attack, args=(port, theirs))
    process.start()
    try:
        ours.recv()
        time.sleep(SETTLE_S)
        yield
    finally:
        ours.send("stop")
        events.update(ours.recv())
        process.join()


def attack(port: int, parent: Connection) -> None:
    """Connect all hostile clients, tell the parent, and go on until it says stop."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    events: Counter[str] = Counter()
    asyncio.run(attack_until_told(port, parent, events))
    parent.send(events)


async def attack_until_told(port: int, parent: Connection, events: Counter[str]) -> None:
    """Run all hostile clients, and stop them when the parent says so."""
    kinds: list[tuple[int, Callable[..., Awaitable[None]]]] = [
        (N_IDLE, stay_idle),
        (N_UPLOADS, upload_slowly),
        (N_FLOODS, flood),
    ]
    tasks = [
        asyncio.create_task(again_and_again(client, port, events))
        for number, client in kinds
        for _ in range(number)
    ]
    await asyncio.sleep(SETTLE_S)
    parent.send("connected")
    await asyncio.to_thread(parent.recv)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def again_and_again(client: Any, port: int, events: Counter[str]) -> None:
    """Connect, run a client, and do it again when the service has closed its connection."""
    while True:
        writer = None
        try:
            reader, writer = await asyncio.open_connection(HOST, port)
            events[f"{client.__name__}: opened"] += 1
            await client(reader, writer, events)
            events[f"{client.__name__}: closed by the service"] += 1
        except OSError:
            events[f"{client.__name__}: closed by the service"] += 1
        finally:
            if writer is not None:
                writer.transport.abort()
        await asyncio.sleep(AGAIN_S)


async def stay_idle(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, events: Counter[str]
) -> None:
    """Send nothing."""
    await reader.read()


async def upload_slowly(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, events: Counter[str]
) -> None:
    """Declare 8 MB, and send one byte from time to time."""
    writer.write(b"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n")
    while not reader.at_eof():
        writer.write(b"R")
        await writer.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_S):
                await reader.read()


async def flood(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, events: Counter[str]
) -> None:
    """Send 150 MB of headers."""
    lines = b"X-Header: aaaaaaaaaaaaaaaaaaaa\r\n" * 2000
    writer.write(b"GET /clips HTTP/1.1\r\nHost: localhost\r\n")
    for _ in range(FLOOD_BYTES // len(lines)):
        writer.write(lines)
        await writer.drain()
        events["flood: bytes sent"] += len(lines)


if __name__ == "__main__":
    main()
