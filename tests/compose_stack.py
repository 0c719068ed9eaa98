"""Runs the compose file of the repository with the docker and compose on the PATH."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

FILE = Path(__file__).parents[1] / "deploy" / "docker-compose.yml"
IMAGE = "minuend:container-test"
READY_S = 120
"""Longest start, on a busy machine [s]."""


def docker(*words: str) -> str:
    """Run a docker command and return what it printed."""
    return _run(["docker", *words], os.environ)


def compose_command() -> list[str]:
    """Return the command of compose: the old program or the plugin of docker."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    return ["docker", "compose"]


def build(image: str = IMAGE, **environment: str) -> None:
    """Build an image from the working tree with the compose file."""
    stack = Stack("minuend-build", MINUEND_IMAGE=image, **environment)
    stack.client.close()
    stack.compose("build", "minuend")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Stack:
    """A project of the compose file on its own ports.

    Args:
        project: Its name, also of its volumes.
        **environment: Variables of the compose file.
    """

    def __init__(self, project: str, **environment: object) -> None:
        self.project = project
        self.port = free_port()
        self.environment = {
            "MINUEND_IMAGE": IMAGE,
            "MINUEND_ADDRESS": "127.0.0.1",
            "MINUEND_PUBLISH": str(self.port),
        } | {name: str(value) for name, value in environment.items()}
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False
        )

    def compose(self, *words: str) -> str:
        """Run a compose command and return what it printed."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MINUEND_")}
        command = [*compose_command(), "-f", str(FILE), "-p", self.project, *words]
        return _run(command, clean | self.environment)

    def minuend(self, *words: str) -> str:
        """Run the command `minuend` in the container of the service."""
        return self.compose("exec", "-T", "minuend", "minuend", *words)

    def up(self, *profiles: str) -> None:
        """Start the service and the services of the profiles, and wait until ready."""
        options = [word for profile in profiles for word in ("--profile", profile)]
        self.compose(*options, "up", "-d", *(() if profiles else ("minuend",)))
        self.wait_until_ready()

    def down(self) -> None:
        """Remove containers and volumes."""
        self.client.close()
        for profile in ("monitoring", "proxy"):
            self.compose("--profile", profile, "down", "--volumes", "--remove-orphans")

    def container(self, service: str = "minuend") -> str:
        """Return the id of the container of a service."""
        return self.compose("ps", "-q", service).strip()

    def inspect(self, service: str = "minuend") -> dict[str, Any]:
        """Return the output of `docker inspect` for the container of a service."""
        (found,) = json.loads(docker("inspect", self.container(service)))
        return dict(found)

    def kill(self) -> None:
        """Kill the process of the service with SIGKILL from outside, like a crash."""
        pid = str(self.inspect()["State"]["Pid"])
        host = ("--pid=host", "--user=0", "--entrypoint=sh")
        docker("run", "--rm", *host, IMAGE, "-c", f"kill -9 {pid}")

    def wait_until_ready(self, client: httpx.Client | None = None) -> None:
        """Wait until the service is ready for a client, which is its own if none is given."""
        asking = client or self.client
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            try:
                if asking.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.2)
        raise AssertionError(self.compose("logs", "--tail=50"))


def _run(command: list[str], environment: os._Environ[str] | dict[str, str]) -> str:
    finished = subprocess.run(command, env=dict(environment), capture_output=True, text=True)
    assert finished.returncode == 0, f"{' '.join(command)}:\n{finished.stdout}{finished.stderr}"
    return finished.stdout
