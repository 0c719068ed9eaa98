"""Our service and other servers with the same graph and clips, in one run.

    python -m venv PEERS/fastapi && PEERS/fastapi/bin/pip install -r benchmarks/peers/fastapi.txt
    ... the same for litserve, mosec and bentoml
    .venv/service/bin/python benchmarks/peers.py PEERS [SECONDS]

Each peer is tuned as its documentation says: a worker for each core with a session of one thread,
no access log, and no waiting for batches, which gains nothing on a CPU; LitServe is also tried with
batches. Each has the form of upload and answer that is cheapest for it.

All servers run all the time and are loaded one after another in short rounds, each round in another
order, so that other load of the machine affects all of them equally. The servers that are not
loaded are stopped: LitServe with batches uses processor time also when it is idle.
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
ROUNDS = 9
SECONDS = 8.0
"""Duration of each load: with half of it, three answers decided the 99th percentile."""
START_S = 90.0


@dataclass(frozen=True)
class Peer:
    """A server to compare with.

    Attributes:
        name: Its name.
        environment: Folder of its virtual environment.
        command: Command that starts it; `PORT` and `CORES` are replaced.
        path: Path of the request.
        part: Name of the file in a form; the body is raw if it is empty.
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
    """A running server.

    Attributes:
        name: Its name.
        pid: Its process.
        options: Options of the load: port, path, part, headers.
    """

    name: str
    pid: int
    options: dict[str, Any]


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
            options = {"port": port, "path": peer.path, "part": peer.part}
            targets.append(Target(peer.name, pid, options))
        for target in targets:
            load.run(load.Load(seconds=2.0, clients=4, **target.options))
        rounds = [measure(rotated(targets, number), seconds) for number in range(ROUNDS)]
    versions = {it.name: version(it, environments / it.environment / "bin") for it in peers}
    missing = [it.name for it in PEERS if it not in peers]
    figures = {"versions": versions, "missing": missing, "ratios": ratios(rounds), "turns": rounds}
    results.write("peers", figures, of_processor=True)


def rotated(targets: list[Target], number: int) -> list[Target]:
    """Rotate the order of the servers by the number of the round."""
    first = number % len(targets)
    return targets[first:] + targets[:first]


def measure(targets: list[Target], seconds: float) -> dict[str, list[dict[str, Any]]]:
    """Load each server with one client, with some and with many, one server after another.

    The processor time of the server is added to the figures of the load generator.
    """
    loads: dict[str, list[dict[str, Any]]] = {target.name: [] for target in targets}
    for clients in CLIENTS:
        for target in targets:
            requests = load.Load(seconds=seconds, clients=clients, ramp_s=RAMP_S, **target.options)
            with stopped([it for it in targets if it is not target]):
                before = tree_cpu_s(target.pid)
                figures = load.run(requests)
                used_s = tree_cpu_s(target.pid) - before
            loads[target.name].append({**figures, "server_cpu_s": round(used_s, 2)})
    return loads


@contextmanager
def stopped(targets: Iterable[Target]) -> Iterator[None]:
    """Stop servers, so that they use no processor time."""
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
    """Run a peer in its own process group; yield its process and its port."""
    port = choose_port(0)
    cores = len(os.sched_getaffinity(0))
    names = {"PORT": str(port), "CORES": str(cores)}
    program, *arguments = (names.get(word, word) for word in peer.command)
    graph = results.ROOT / "models" / "default" / "encoder.onnx"
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    variables = {"PEER_GRAPH": str(graph), "PEER_WORKERS": str(cores), **peer.variables}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [str(bin_folder / program), *arguments],
            cwd=FOLDER,
            env={**inherited, **variables},
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
    """Wait until a server answers, and five seconds more for its workers."""
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
    """Read the version of a peer from its environment."""
    code = f"import importlib.metadata as m; print(m.version({peer.environment!r}))"
    done = subprocess.run(
        [str(bin_folder / "python"), "-c", code], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def ratios(rounds: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Compare each peer with ours, round by round, and return the medians.

    `throughput` is our best throughput over the peer's; `p99` is the peer's over ours at equal
    load.
    """
    found = {}
    for name in rounds[0]:
        if name == OURS:
            continue
        pairs = [(each[OURS], each[name]) for each in rounds]
        found[name] = {
            "throughput": rounded_median(fastest(ours) / fastest(theirs) for ours, theirs in pairs),
            **{
                f"p99 at {clients} clients": rounded_median(
                    theirs[n]["p99_ms"] / ours[n]["p99_ms"] for ours, theirs in pairs
                )
                for n, clients in enumerate(CLIENTS)
            },
        }
    return found


def fastest(loads: list[dict[str, Any]]) -> float:
    """Return the highest throughput of any load [clips/s]."""
    return max(1e-9, *(it["clips_per_s"] for it in loads))


def rounded_median(values: Iterable[float]) -> float:
    """Return the median, rounded."""
    return round(median(values), 3)


if __name__ == "__main__":
    main()
