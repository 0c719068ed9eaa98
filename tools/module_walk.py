"""Count how often one request changes between the modules of the service.

    python tools/module_walk.py [--json]

Runs the application in this process on a temporary library of three clips, posts two short files to
`/difference` and records the calls of functions of the package `service`, by thread. A request with
other files is sent first, to load what is loaded once; the cache of embeddings is off.

- Call: a call event of the interpreter, so a function, a comprehension or the generated constructor
  of a dataclass begins, or a generator or coroutine is resumed.
- Stay: a maximal run of consecutive calls into one module, in one thread. A return to the caller is
  no call; it begins a stay only if the caller then calls a function of its own module.
- Return: a stay in a module that the same thread has called into before during this request.
- Worker: the thread with the most calls, other than the thread of the event loop.

The total varies by about 20 calls, with the files being encoded in one run or two; the numbers of
the worker do not vary. From Python 3.12 on comprehensions are no calls.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import threading
import wave
from collections import Counter, defaultdict
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import click
import httpx
import numpy as np

from service.app import create_app
from service.settings import Settings

BUNDLE = Path(__file__).parent.parent / "models" / "default"
PACKAGE = "service"
N_CLIPS = 3
RATE_HZ = 16_000
N_SAMPLES = 2 * RATE_HZ
N_SHOWN = 15


class Tracer:
    """Records the module of each call by thread, while `enabled`."""

    def __init__(self) -> None:
        self.enabled = False
        self.calls: dict[int, list[str]] = defaultdict(list)

    def install(self) -> None:
        """Trace this thread and those that are started from now on."""
        threading.setprofile(self._on_event)
        sys.setprofile(self._on_event)

    def _on_event(self, frame: FrameType, event: str, argument: Any) -> None:
        if self.enabled and event == "call":
            module = str(frame.f_globals.get("__name__", ""))
            if module.partition(".")[0] == PACKAGE:
                self.calls[threading.get_ident()].append(module)


def render(seed: int, tone_hz: float = 0.0) -> bytes:
    """Make noise with a tone as a WAV file; a tone of 0 Hz is silent."""
    samples = 0.1 * np.random.default_rng(seed).standard_normal(N_SAMPLES)
    samples += 0.3 * np.sin(2 * np.pi * tone_hz * np.arange(N_SAMPLES) / RATE_HZ)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes((32_767 * samples.clip(-1, 1)).astype("<i2").tobytes())
    return file.getvalue()


async def trace(library: Path, tracer: Tracer) -> None:
    """Start the application, send two requests and trace the second."""
    app = create_app(Settings(bundle=BUNDLE, library=library, cache_bytes=0, log_level="error"))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")
    async with app.router.lifespan_context(app), client:
        for seed in range(N_CLIPS):
            file, headers = render(seed, 200 * (seed + 1)), {"content-type": "audio/wav"}
            (await client.put(f"/clips/{seed}", content=file, headers=headers)).raise_for_status()
        for is_traced in (False, True):
            seed = 20 if is_traced else 10
            files = {"mixture": render(seed, 440), "reference": render(seed + 1)}
            tracer.enabled = is_traced
            response = await client.post("/difference", files=files)
            tracer.enabled = False
            response.raise_for_status()


def count(calls: dict[int, list[str]], loop: int) -> dict[str, Any]:
    """Count calls, stays and returns, given the called modules by thread and the loop's thread."""
    worker = max((modules for thread, modules in calls.items() if thread != loop), key=len)
    stays = Counter(module for module, _ in groupby(worker))
    returns = stays - Counter(set(stays))
    return {
        "calls": sum(map(len, calls.values())),
        "modules": len(set().union(*calls.values())),
        "threads": len(calls),
        "worker_calls": len(worker),
        "worker_modules": len(stays),
        "stays": stays.total(),
        "returns": returns.total(),
        "returns_by_module": dict(returns.most_common()),
    }


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def main(as_json: bool) -> None:
    """Trace one request to /difference and print its walk through the modules."""
    tracer = Tracer()
    tracer.install()
    with tempfile.TemporaryDirectory() as library:
        anyio.run(trace, Path(library), tracer)
    counted = count(tracer.calls, threading.get_ident())
    if as_json:
        click.echo(json.dumps(counted, indent=2))
        return
    click.echo("{calls} calls in {modules} modules and {threads} threads".format(**counted))
    click.echo("worker: {worker_calls} calls in {worker_modules} modules,".format(**counted))
    click.echo("{stays} stays, {returns} of them return to a module\n".format(**counted))
    for module, n in list(counted["returns_by_module"].items())[:N_SHOWN]:
        click.echo(f"{n:4d}  {module}")


if __name__ == "__main__":
    main()
