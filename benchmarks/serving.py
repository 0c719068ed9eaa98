"""Throughput of `/embed`, relative to a bare ONNX Runtime loop over the same clips.

    .venv/service/bin/python benchmarks/serving.py [SECONDS]

First the service, with 1 to 64 clients and with short, long and mixed clips; raw bodies, npy
answers, no cache. Then the loop on the same clips, with decoding, beside a process that uses as
much of a core as the load generator did. Both are measured twice, alternately; the fastest variant
of the encoder is measured with clips of 5 s only.
"""

from __future__ import annotations

import sys
from statistics import mean
from typing import Any

import bare_loop
import load
import results
from services import BUNDLE, NPY, cpu_s, service

from service.bundle.files import load_bundle
from service.cli.demo.server import Server

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
CLIPS = {"short": [1.0], "5 s": [5.0], "long": [30.0], "mixed": [1.0, 2.0, 5.0, 10.0, 30.0]}
ROUNDS = 2
SETTINGS = {"int8": "int8", "float16": "fp16"}


def main() -> None:
    """Measure and write ``docs/results/serving.json``."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    variant = max(load_bundle(BUNDLE).manifest.encoder.variants, key=lambda it: it.cpu_speed)
    precisions = {
        "fp32": ("encoder.onnx", CLIPS),
        SETTINGS[variant.precision]: (variant.file, {"5 s": CLIPS["5 s"]}),
    }
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in precisions}
    for _ in range(ROUNDS):
        for precision, (graph, clips) in precisions.items():
            rounds[precision].append(measure(seconds, precision, graph, clips))
    summary = {precision: summarise(measured) for precision, measured in rounds.items()}
    results.write("serving", {"summary": summary, "turns": rounds}, of_processor=True)


def measure(
    seconds: float, precision: str, graph: str, clips: dict[str, list[float]]
) -> dict[str, Any]:
    """Measure the service, then the loop, with one graph."""
    with service(precision=precision) as server:
        send(server, 2.0, 4, [5.0])
        by_clients = [send(server, seconds, clients, [5.0]) for clients in CLIENTS]
        by_clips = {name: send(server, seconds, 16, lengths) for name, lengths in clips.items()}
    saturated = max(by_clients, key=lambda figures: figures["clips_per_s"])
    background_load = saturated["generator_cpu_s"] / saturated["seconds"]
    bare = {
        name: bare_loop.run(
            BUNDLE / graph, seconds=seconds / 2, duration_s=lengths, background_load=background_load
        )
        for name, lengths in clips.items()
    }
    return {"by_clients": by_clients, "by_clips": by_clips, "bare_loop": bare}


def send(server: Server, seconds: float, clients: int, duration_s: list[float]) -> dict[str, Any]:
    """Load the service; return the figures with its processor time."""
    before = cpu_s(server.pid)
    requests = load.Load(
        port=server.port, seconds=seconds, clients=clients, duration_s=duration_s, headers=NPY
    )
    figures = load.run(requests)
    n_clips = figures["statuses"].get("200", 0)
    used_s = cpu_s(server.pid) - before
    return {**figures, "server_cpu_ms_per_clip": round(1000 * used_s / max(1, n_clips), 2)}


def summarise(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Compute the ratios that have a target, each the mean of the rounds."""
    return {
        "saturated_share_of_bare_loop": average(
            max(it["clips_per_s"] for it in each["by_clients"]) / fastest(each, "5 s")
            for each in rounds
        ),
        "share_of_bare_loop_by_time_of_the_cores": average(
            cheapest(each) / min(it["server_cpu_ms_per_clip"] for it in each["by_clients"])
            for each in rounds
        ),
        "share_by_clips": {
            name: average(
                each["by_clips"][name]["clips_per_s"] / fastest(each, name) for each in rounds
            )
            for name in rounds[0]["by_clips"]
        },
        "lone_request_over_decode_and_run_ms": average(
            each["by_clients"][0]["p50_ms"]
            - min(mode["p50_ms"] for mode in each["bare_loop"]["5 s"].values())
            for each in rounds
        ),
        "p99_over_p50_at_16_clients": average(
            figures["p99_ms"] / figures["p50_ms"]
            for each in rounds
            for figures in each["by_clients"]
            if figures["clients"] == 16
        ),
    }


def fastest(measured: dict[str, Any], clips: str) -> float:
    """Return the throughput of the bare loop in its faster mode [clips/s]."""
    return max(mode["clips_per_s"] for mode in measured["bare_loop"][clips].values())


def cheapest(measured: dict[str, Any]) -> float:
    """Return the least processor time of a clip of 5 s in the bare loop [ms]."""
    return min(mode["cpu_ms_per_clip"] for mode in measured["bare_loop"]["5 s"].values())


def average(values: Any) -> float:
    """Return the mean, rounded."""
    return round(mean(values), 3)


if __name__ == "__main__":
    main()
