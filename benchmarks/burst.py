"""The service in a burst of 20 times its capacity.

    .venv/service/bin/python benchmarks/burst.py [SECONDS]

Capacity is the throughput with 16 clients. Then requests are sent at 20 times that rate, and
afterwards one at a time. The clips are long and have the encoder's sample rate, and the arithmetic
is float32, so that the load generator, which shares the cores with the service, can send so many.
"""

from __future__ import annotations

import http.client
import sys
import time
from typing import Any

import load
import results
from clips import make_clips
from services import NPY, Memory, service

from service.cli.demo.server import HOST, Server

TIMES = 20
LENGTH_S = 20.0
RATE_HZ = 16_000
DEADLINE_S = 10.0
PROBE_S = 5.0
NORMAL = 1.5
"""A single request is normal if it takes at most this many times the p99 before the burst."""


def main() -> None:
    """Measure and write ``docs/results/burst.json``."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    with service(deadline_s=DEADLINE_S, precision="fp32") as server:
        send(server, 2.0, clients=4)
        capacity = send(server, 6.0, clients=16)
        single = send(server, 4.0, clients=1)
        with Memory(server.pid) as memory:
            burst = send(server, seconds, rate_hz=TIMES * capacity["clips_per_s"])
        normal_after_s = probe(server, NORMAL * single["p99_ms"])
        after_mb = Memory(server.pid).idle_mb
    sent = sum(n for status, n in burst["statuses"].items() if status != "not sent")
    results.write(
        "burst",
        {
            "deadline_s": DEADLINE_S,
            "clip_s": LENGTH_S,
            "clip_rate_hz": RATE_HZ,
            "capacity": capacity,
            "lone": single,
            "burst": burst,
            "sent_times_capacity": round(sent / burst["sent_in_s"] / capacity["clips_per_s"], 1),
            "accepted_p99_s": round(burst["p99_ms"] / 1000, 2),
            "memory_mb": {
                "before": round(memory.idle_mb, 1),
                "peak": round(memory.peak_mb, 1),
                "after": round(after_mb, 1),
            },
            "normal_after_s": normal_after_s,
        },
    )


def send(server: Server, seconds: float, **options: Any) -> dict[str, Any]:
    """Send requests to the service and return the figures of the load generator."""
    clips = {"duration_s": [LENGTH_S], "sample_rate_hz": RATE_HZ}
    requests = load.Load(port=server.port, headers=NPY, seconds=seconds, **clips, **options)
    return load.run(requests)


def probe(server: Server, normal_ms: float) -> float | None:
    """Measure the time from the burst to the first normal request [s]; None if there was none."""
    (clip,) = make_clips(1, LENGTH_S, seed=99, rate_hz=RATE_HZ)
    begin = time.perf_counter()
    while (start := time.perf_counter()) - begin < PROBE_S:
        connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
        connection.request("POST", "/embed", clip, {"content-type": "audio/wav", **NPY})
        response = connection.getresponse()
        response.read()
        connection.close()
        now = time.perf_counter()
        if response.status == http.client.OK and 1000 * (now - start) <= normal_ms:
            return round(now - begin, 2)
    return None


if __name__ == "__main__":
    main()
