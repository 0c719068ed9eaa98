"""How close does `/embed` come to a bare ONNX Runtime loop over the same clips?

    .venv/service/bin/python benchmarks/serving.py [SECONDS]

First the service, with one client to 64, with clips of 5 s, short, long and mixed ones; raw bodies
and npy answers, and no cache. Then the loop on the same clips, decoding included, beside a process
that takes as much of a core as the load generator took. Each is measured twice, in turns; the
cheapest variant of the encoder with clips of 5 s alone.
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
TURNS = 2
SETTINGS = {"int8": "int8", "float16": "fp16"}


def main() -> None:
    """Measure and write ``docs/results/serving.json``."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    variant = max(load_bundle(BUNDLE).manifest.encoder.variants, key=lambda it: it.cpu_speed)
    precisions = {
        "fp32": ("encoder.onnx", CLIPS),
        SETTINGS[variant.precision]: (variant.file, {"5 s": CLIPS["5 s"]}),
    }
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in precisions}
    for _ in range(TURNS):
        for precision, (graph, clips) in precisions.items():
            turns[precision].append(measure(seconds, precision, graph, clips))
    summary = {precision: summarise(taken) for precision, taken in turns.items()}
    results.write("serving", {"summary": summary, "turns": turns}, of_processor=True)


def measure(
    seconds: float, precision: str, graph: str, clips: dict[str, list[float]]
) -> dict[str, Any]:
    """Measure the service, then the loop, with one graph."""
    with service(precision=precision) as server:
        ask(server, 2.0, 4, [5.0])
        by_clients = [ask(server, seconds, clients, [5.0]) for clients in CLIENTS]
        by_clips = {name: ask(server, seconds, 16, lengths) for name, lengths in clips.items()}
    saturated = max(by_clients, key=lambda figures: figures["clips_per_s"])
    ballast = saturated["generator_cpu_s"] / saturated["seconds"]
    bare = {
        name: bare_loop.run(
            BUNDLE / graph, seconds=seconds / 2, duration_s=lengths, ballast=ballast
        )
        for name, lengths in clips.items()
    }
    return {"by_clients": by_clients, "by_clips": by_clips, "bare_loop": bare}


def ask(server: Server, seconds: float, clients: int, duration_s: list[float]) -> dict[str, Any]:
    """Load the service and add what it took of the cores."""
    before = cpu_s(server.pid)
    asked = load.Load(
        port=server.port, seconds=seconds, clients=clients, duration_s=duration_s, headers=NPY
    )
    figures = load.run(asked)
    n_clips = figures["statuses"].get("200", 0)
    took_s = cpu_s(server.pid) - before
    return {**figures, "server_cpu_ms_per_clip": round(1000 * took_s / max(1, n_clips), 2)}


def summarise(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the ratios that are aimed at, each the mean of the turns."""
    return {
        "saturated_share_of_bare_loop": average(
            max(it["clips_per_s"] for it in turn["by_clients"]) / fastest(turn, "5 s")
            for turn in turns
        ),
        "share_of_bare_loop_by_time_of_the_cores": average(
            cheapest(turn) / min(it["server_cpu_ms_per_clip"] for it in turn["by_clients"])
            for turn in turns
        ),
        "share_by_clips": {
            name: average(
                turn["by_clips"][name]["clips_per_s"] / fastest(turn, name) for turn in turns
            )
            for name in turns[0]["by_clips"]
        },
        "lone_request_over_decode_and_run_ms": average(
            turn["by_clients"][0]["p50_ms"]
            - min(way["p50_ms"] for way in turn["bare_loop"]["5 s"].values())
            for turn in turns
        ),
        "p99_over_p50_at_16_clients": average(
            figures["p99_ms"] / figures["p50_ms"]
            for turn in turns
            for figures in turn["by_clients"]
            if figures["clients"] == 16
        ),
    }


def fastest(turn: dict[str, Any], clips: str) -> float:
    """Return the clips/s of the bare loop in its fastest way."""
    return max(way["clips_per_s"] for way in turn["bare_loop"][clips].values())


def cheapest(turn: dict[str, Any]) -> float:
    """Return what a clip of 5 s takes of the cores in the bare loop [ms]."""
    return min(way["cpu_ms_per_clip"] for way in turn["bare_loop"]["5 s"].values())


def average(values: Any) -> float:
    """Return the mean, rounded."""
    return round(mean(values), 3)


if __name__ == "__main__":
    main()
