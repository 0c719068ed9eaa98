"""The same graph and clips behind other servers, and behind ours, in one run.

    python -m venv PEERS/fastapi && PEERS/fastapi/bin/pip install -r benchmarks/peers/fastapi.txt
    ... the same for litserve, mosec and bentoml
    .venv/service/bin/python benchmarks/peers.py PEERS [SECONDS]

Each peer is tuned as its documentation says: a worker for each core with a session of one thread,
no access log, and no wait for a batch to fill, which gains nothing here on a CPU; LitServe is
tried with batches as well. Each has the upload and the answer that cost it least.
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import load
import results
from services import NPY, service

from service.demo.server import HOST, choose_port

FOLDER = Path(__file__).parent / "peers"
CLIENTS = (1, 16, 64)
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
        ("python", "mosec_server.py", "--port", "PORT", "--address", HOST),
        path="/inference",
    ),
    Peer("BentoML", "bentoml", BENTO, part="audio", variables={"BENTOML_DO_NOT_TRACK": "True"}),
)


def main() -> None:
    """Measure and write ``docs/results/peers.json``."""
    environments = Path(sys.argv[1]).resolve()
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 8.0
    with service() as server:
        ours = measure(seconds, port=server.port, headers=NPY)
    servers: dict[str, Any] = {"Minuend": {"loads": ours}}
    for peer in PEERS:
        bin_folder = environments / peer.environment / "bin"
        if not bin_folder.exists():
            servers[peer.name] = {"skipped": "its environment is not there"}
            continue
        with running(peer, bin_folder) as port:
            loads = measure(seconds, port=port, path=peer.path, part=peer.part)
        servers[peer.name] = {"version": version(peer, bin_folder), "loads": loads}
    results.write("peers", {"servers": servers, "ratios": ratios(servers)})


def measure(seconds: float, **options: Any) -> list[dict[str, Any]]:
    """Load a server with one client, with some and with many."""
    load.run(load.Load(seconds=2.0, clients=4, **options))
    return [load.run(load.Load(seconds=seconds, clients=n, **options)) for n in CLIENTS]


@contextmanager
def running(peer: Peer, bin_folder: Path) -> Iterator[int]:
    """Run a peer in a process group of its own and give its port."""
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
            yield port
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


def ratios(servers: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return how many times the peer's throughput ours is, and its p99 in terms of ours."""
    ours = servers["Minuend"]["loads"]
    found = {}
    for name, server in servers.items():
        if name != "Minuend" and "loads" in server:
            theirs = server["loads"]
            best = max(it["clips_per_s"] for it in theirs)
            found[name] = {
                "throughput": round(max(it["clips_per_s"] for it in ours) / max(best, 1e-9), 3),
                **{
                    f"p99 at {mine['clients']} clients": round(it["p99_ms"] / mine["p99_ms"], 3)
                    for mine, it in zip(ours, theirs, strict=True)
                },
            }
    return found


if __name__ == "__main__":
    main()
