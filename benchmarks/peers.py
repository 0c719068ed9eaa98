"""The same graph and clips behind other servers, and behind ours, in one run.

    python -m venv PEERS/fastapi && PEERS/fastapi/bin/pip install -r benchmarks/peers/fastapi.txt
    ... the same for litserve, mosec and bentoml
    .venv/service/bin/python benchmarks/peers.py PEERS [SECONDS]

Each peer is tuned as its documentation says: a worker for each core with a session of one thread,
no access log, and no wait for a batch to fill, which gains nothing here on a CPU; LitServe is
tried with batches as well. Each has the upload and the answer that cost it least.

All servers are up all the time and loaded in short turns, each turn in another order: what else
happens on the machine then falls on all of them alike. Those whose turn it is not are stopped:
LitServe with batches takes time of the cores also while it has nothing to do.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import load
import results
from services import NPY, service, tree, tree_cpu_s

from service.cli.demo.server import HOST, choose_port

FOLDER = Path(__file__).parent / "peers"
OURS = "Minuend"
CLIENTS = (1, 16, 64)
RAMP_S = 1.5
TURNS = 9
SECONDS = 8.0
"""Of each load: in half of it, the 99th percentile was that of the three slowest answers."""
START_S = 90.0


@dataclass(frozen=True)
class Peer:
    """A server to be compared with.

    Attributes:
        name: What it is.
        environment: Folder of its virtual environment.
        command: How it is started; `PORT` stands for the port.
        path: What is asked.
        part: Name of the form's file; a raw body if empty.
        variables: Environment variables.
    """

    name: str
    environment: str
    command: tuple[str, ...]
    path: str = "/embed"
    part: str = ""
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """A server that runs.

    Attributes:
        name: What it is.
        pid: Its process.
        asked: How the load reaches it: port, path, part, headers.
    """

    name: str
    pid: int
    asked: dict[str, Any]


UVICORN = ("uvicorn", "fastapi_server:app", "--no-access-log", "--port", "PORT", "--workers")
BENTO = ("bentoml", "serve", "bentoml_server:Embedder", "--port", "PORT", "--host", HOST)
PEERS = (
    Peer("FastAPI", "fastapi", (*UVICORN, "CORES")),
    Peer("LitServe", "litserve", ("python", "litserve_server.py", "PORT"), part="audio"),
    Peer(
        "LitServe, batches of 4",
        "litserve",
        ("python", "litserve_server.py", "PORT"),
        part="audio",
        variables={"PEER_MAX_BATCH": "4"},
    ),
    Peer(
        "mosec",
        "mosec",
        ("python", "mosec_server.py", "--port", "PORT", "--address", HOST, "--timeout", "120000"),
        path="/inference",
    ),
    Peer("BentoML", "bentoml", BENTO, part="audio", variables={"BENTOML_DO_NOT_TRACK": "True"}),
)


def main() -> None:
    """Measure and write ``docs/results/peers.json``."""
    environments = Path(sys.argv[1]).resolve()
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS
    peers = [it for it in PEERS if (environments / it.environment / "bin").exists()]
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(service(precision="fp32"))
        targets = [Target(OURS, server.pid, {"port": server.port, "headers": NPY})]
        for peer in peers:
            pid, port = stack.enter_context(running(peer, environments / peer.environment / "bin"))
            asked = {"port": port, "path": peer.path, "part": peer.part}
            targets.append(Target(peer.name, pid, asked))
        for target in targets:
            load.run(load.Load(seconds=2.0, clients=4, **target.asked))
        turns = [measure(rotated(targets, turn), seconds) for turn in range(TURNS)]
    versions = {it.name: version(it, environments / it.environment / "bin") for it in peers}
    missing = [it.name for it in PEERS if it not in peers]
    figures = {"versions": versions, "missing": missing, "ratios": ratios(turns), "turns": turns}
    results.write("peers", figures, of_processor=True)


def rotated(targets: list[Target], turn: int) -> list[Target]:
    """Begin with another one each turn."""
    first = turn % len(targets)
    return targets[first:] + targets[:first]


def measure(targets: list[Target], seconds: float) -> dict[str, list[dict[str, Any]]]:
    """Load each server with one client, with some and with many, one server after another.

    What it took of the cores is added to what the load generator saw.
    """
    loads: dict[str, list[dict[str, Any]]] = {target.name: [] for target in targets}
    for clients in CLIENTS:
        for target in targets:
            asked = load.Load(seconds=seconds, clients=clients, ramp_s=RAMP_S, **target.asked)
            with stopped([it for it in targets if it is not target]):
                before = tree_cpu_s(target.pid)
                figures = load.run(asked)
                took_s = tree_cpu_s(target.pid) - before
            loads[target.name].append({**figures, "server_cpu_s": round(took_s, 2)})
    return loads


@contextmanager
def stopped(targets: Iterable[Target]) -> Iterator[None]:
    """Let servers take none of the cores."""
    processes = [pid for target in targets for pid in tree(target.pid)]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def running(peer: Peer, bin_folder: Path) -> Iterator[tuple[int, int]]:
    """Run a peer in a process group of its own and give its process and its port."""
    port = choose_port(0)
    cores = len(os.sched_getaffinity(0))
    names = {"PORT": str(port), "CORES": str(cores)}
    program, *arguments = (names.get(word, word) for word in peer.command)
    graph = results.ROOT / "models" / "default" / "encoder.onnx"
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    given = {"PEER_GRAPH": str(graph), "PEER_WORKERS": str(cores), **peer.variables}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [str(bin_folder / program), *arguments],
            cwd=FOLDER,
            env={**inherited, **given},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait_listening(port)
            yield process.pid, port
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_listening(port: int) -> None:
    """Wait until a server answers anything, and a little more for its workers."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        connection = http.client.HTTPConnection(HOST, port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/")
            connection.getresponse()
            time.sleep(5)
            return
        time.sleep(0.2)
    raise SystemExit(f"nothing listens on port {port}")


def version(peer: Peer, bin_folder: Path) -> str:
    """Ask a peer's environment for its version."""
    code = f"import importlib.metadata as m; print(m.version({peer.environment!r}))"
    done = subprocess.run(
        [str(bin_folder / "python"), "-c", code], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def ratios(turns: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Compare each peer with ours, turn by turn, and return the medians.

    `throughput` is ours over the peer's at their best; `p99` is the peer's over ours at equal
    load.
    """
    found = {}
    for name in turns[0]:
        if name == OURS:
            continue
        pairs = [(turn[OURS], turn[name]) for turn in turns]
        found[name] = {
            "throughput": middle(fastest(ours) / fastest(theirs) for ours, theirs in pairs),
            **{
                f"p99 at {clients} clients": middle(
                    theirs[n]["p99_ms"] / ours[n]["p99_ms"] for ours, theirs in pairs
                )
                for n, clients in enumerate(CLIENTS)
            },
        }
    return found


def fastest(loads: list[dict[str, Any]]) -> float:
    """Return the most clips/s of any load."""
    return max(1e-9, *(it["clips_per_s"] for it in loads))


def middle(values: Iterable[float]) -> float:
    """Return the median, rounded."""
    return round(median(values), 3)


if __name__ == "__main__":
    main()
