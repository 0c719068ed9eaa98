"""The memory of the service over many requests of mixed lengths and kinds: `make soak N=50000`.

    .venv/dev/bin/python benchmarks/soak.py [REQUESTS]

Every upload has other content, the library has at most `N_IDS` clips, and the cache is so small
that it is full after a few hundred requests: what grows in the second half of the run would grow
for ever.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection

import numpy as np
import results
from clips import write_wav
from load import BOUNDARY
from services import resident_mb, service, tree
from tqdm import tqdm

REQUESTS = 50_000
CLIENTS = 4
N_IDS = 200
N_SAMPLES = 200
CACHE_BYTES = 4 << 20
MOST_GROWTH_BYTES = 1000.0
SHORTEST_S, LONGEST_S = 0.2, 20.0
RATES_HZ = (8_000, 16_000, 44_100, 48_000)
EXPECTED = (200, 201, 204, 206, 304, 400, 404, 422)


@dataclass(frozen=True)
class Request:
    """A request; a method, a target, a body and its media type."""

    method: str
    target: str
    body: bytes | None = None
    media_type: str = ""


@dataclass
class Memory:
    """Resident memory of the service and its child processes after numbers of requests [bytes]."""

    pid: int
    done: list[int] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)

    def sample(self, done: int) -> None:
        """Measure after a number of requests."""
        self.done.append(done)
        self.resident.append(sum(1e6 * resident_mb(pid) for pid in tree(self.pid)))

    def growth(self) -> float:
        """Return the slope of the least-squares line of the second half [bytes per request]."""
        half = len(self.done) // 2
        return float(np.polyfit(self.done[half:], self.resident[half:], 1)[0])

    def by_tenth_mb(self) -> list[float]:
        """Return the means of ten parts of the run [MB]."""
        return [float(np.mean(part)) / 1e6 for part in np.array_split(self.resident, 10)]


def main() -> int:
    """Measure and write ``docs/results/soak.json``; return 1 if the memory grows."""
    n_requests = int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS
    start = time.monotonic()
    with service(cache_bytes=CACHE_BYTES) as server:
        memory = Memory(server.pid)
        statuses = send_all(server.port, n_requests, memory)
    growth = memory.growth()
    half = len(memory.done) // 2
    figures = {
        "requests": n_requests,
        "seconds": round(time.monotonic() - start, 1),
        "clients": CLIENTS,
        "clip_s": [SHORTEST_S, LONGEST_S],
        "statuses": dict(sorted(statuses.items())),
        "resident_mb": {
            "first": round(memory.resident[0] / 1e6, 1),
            "half": round(memory.resident[half] / 1e6, 1),
            "last": round(memory.resident[-1] / 1e6, 1),
            "most": round(max(memory.resident) / 1e6, 1),
            "by_tenth": [round(mb, 1) for mb in memory.by_tenth_mb()],
        },
        "growth_bytes_per_request_in_the_second_half": round(growth, 1),
    }
    if growth >= MOST_GROWTH_BYTES or not set(statuses) <= {str(each) for each in EXPECTED}:
        sys.stderr.write(f"{json.dumps(figures, indent=2)}\nthe service grows, or failed\n")
        return 1
    results.write("soak", figures)
    return 0


def send_all(port: int, n_requests: int, memory: Memory) -> Counter[str]:
    """Send requests from several clients; return the number of answers of each status."""
    statuses: Counter[str] = Counter()
    lock, numbers = threading.Lock(), iter(range(n_requests))
    every = max(1, n_requests // N_SAMPLES)
    bar = tqdm(total=n_requests, unit="request", disable=None)

    def client(seed: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=120)
        for request in make_requests(random.Random(seed)):
            with lock:
                if (number := next(numbers, None)) is None:
                    break
                if number % every == 0:
                    memory.sample(number)
            status = send(connection, request)
            with lock:
                statuses[status] += 1
                bar.update()
        connection.close()

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bar.close()
    return statuses


def send(connection: HTTPConnection, request: Request) -> str:
    """Send a request; return the status of the answer, or the name of the error."""
    headers = {"content-type": request.media_type} if request.media_type else {}
    try:
        connection.request(request.method, request.target, request.body, headers)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return type(error).__name__
    return str(response.status)


def make_requests(rng: random.Random) -> Iterator[Request]:
    """Yield requests for ever; short clips are more frequent than long ones."""
    kinds, weights = list(KINDS), list(KINDS.values())
    for number in itertools.count():
        (kind,) = rng.choices(kinds, weights)
        yield kind(rng, number)


def make_clip(rng: random.Random, number: int) -> bytes:
    """Make a WAV file of a length between the limits, uniform in its logarithm."""
    duration_s = SHORTEST_S * (LONGEST_S / SHORTEST_S) ** rng.random() ** 2
    rate_hz = rng.choice(RATES_HZ)
    generator = np.random.default_rng([number, rng.getrandbits(32)])
    n_samples = round(duration_s * rate_hz)
    return write_wav(generator.integers(-3000, 3000, n_samples, dtype=np.int16), rate_hz)


def embed(rng: random.Random, number: int) -> Request:
    """POST /embed, with or without windows."""
    target = rng.choice(("/embed", "/embed?window_s=1&hop_s=0.5", "/embed?encoding=base64"))
    return Request("POST", target, make_clip(rng, number), "audio/wav")


def search(rng: random.Random, number: int) -> Request:
    """POST /search by a sound, also with a text."""
    target = rng.choice(("/search?k=5", "/search?k=5&modifier=with%20rain", "/search?k=100"))
    return Request("POST", target, make_clip(rng, number), "audio/wav")


def difference(rng: random.Random, number: int) -> Request:
    """POST /difference of two sounds."""
    parts = []
    for name in ("mixture", "reference"):
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\n'
        parts += [
            head.encode(),
            b"Content-Type: audio/wav\r\n\r\n",
            make_clip(rng, number),
            b"\r\n",
        ]
    body = b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])
    return Request("POST", "/difference", body, f"multipart/form-data; boundary={BOUNDARY}")


def picture(rng: random.Random, number: int) -> Request:
    """POST /pictures."""
    return Request("POST", "/pictures", make_clip(rng, number), "audio/wav")


def put(rng: random.Random, number: int) -> Request:
    """PUT of one of the ids."""
    return Request("PUT", _path(rng), make_clip(rng, number), "audio/wav")


def delete(rng: random.Random, number: int) -> Request:
    """DELETE of one of the ids."""
    return Request("DELETE", _path(rng))


def read(rng: random.Random, number: int) -> Request:
    """GET of a clip, its audio, its pictures, or a page of the service."""
    part = rng.choice(("", "/audio", "/peaks", "/spectrogram"))
    listing = rng.choice(("/clips", "/info", "/metrics", "/map", "/no-such-path"))
    return Request("GET", _path(rng) + part if rng.random() < 0.7 else listing)


def garbage(rng: random.Random, number: int) -> Request:
    """POST /embed of a file that is damaged or cut short."""
    content = make_clip(rng, number)[: rng.randrange(40, 400)]
    return Request("POST", "/embed", content + rng.randbytes(200), "audio/wav")


def _path(rng: random.Random) -> str:
    return f"/clips/soak-{rng.randrange(N_IDS)}"


KINDS: Mapping[Callable[[random.Random, int], Request], int] = {
    embed: 35,
    search: 15,
    difference: 8,
    picture: 4,
    put: 16,
    delete: 4,
    read: 15,
    garbage: 3,
}
"""Kinds of requests, and how many of a hundred are of each."""


if __name__ == "__main__":
    sys.exit(main())
