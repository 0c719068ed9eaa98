"""A run of the model test: clients and an administrator on a real server, until enough is done."""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import tiny_bundle

from service.bundle.files import load_bundle
from torture.actor import KEPT_EVENTS, Actor, Shared
from torture.administrator import EVENTS, Administrator
from torture.client import OPERATIONS, Client
from torture.model import Finding, Model
from torture.server import Bundle, Servers, ServerStartError
from torture.values import DIM, make_content

N_SHARED_SOUNDS = 10
SERVICE = (sys.executable, "-m", "service")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does.

    Attributes:
        seed: Seed of all choices; the order of concurrent requests differs from run to run.
        operations: Most operations; None for no limit.
        seconds: Longest time [s]; None for no limit.
        clients: Clients at the same time.
        interval: Operations from one event to the next, on average.
        findings: Findings after which the run ends.
        command: Program and arguments of a server.
        events: Names of the events that happen; all of them if None.
    """

    seed: int
    operations: int | None = None
    seconds: float | None = None
    clients: int = 6
    interval: int = 300
    findings: int = 1
    command: Sequence[str] = SERVICE
    events: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did and found.

    Attributes:
        operations: Number of operations of all clients.
        elapsed_s: Time it took [s].
        counts: Operations, events and outcomes by name.
        findings: What must never be.
        events: The last operations and their outcomes, in order.
    """

    operations: int
    elapsed_s: float
    counts: dict[str, int]
    findings: list[Finding]
    events: list[dict[str, Any]] = field(repr=False)

    def figures(self) -> dict[str, Any]:
        """Return the figures of a results file."""
        kinds = {*OPERATIONS, *EVENTS}
        return {
            "operations": self.operations,
            "seconds": round(self.elapsed_s, 1),
            "operations_per_s": round(self.operations / self.elapsed_s, 1),
            "lost": sum(finding.kind == "lost" for finding in self.findings),
            "wrong": sum(finding.kind == "wrong" for finding in self.findings),
            "by_kind": {name: self.counts.get(name, 0) for name in OPERATIONS},
            "events": {name: self.counts.get(name, 0) for name in EVENTS},
            "outcomes": {name: n for name, n in sorted(self.counts.items()) if name not in kinds},
        }

    def save(self, file: Path) -> None:
        """Write findings and the last events as lines of JSON."""
        lines = [{"kind": f.kind, "key": f.key, "text": f.text} for f in self.findings]
        with file.open("w", encoding="utf-8") as log:
            for line in [*lines, *self.events]:
                log.write(json.dumps(line, ensure_ascii=False) + "\n")


class _Budget:
    """Counts operations, and says when the run is over."""

    def __init__(self, plan: Plan, on_operation: Callable[[], object]) -> None:
        self._plan = plan
        self._on_operation = on_operation
        self._end = time.monotonic() + (plan.seconds or float("inf"))
        self._lock = Lock()
        self.taken = 0

    def take(self) -> bool:
        with self._lock:
            if self.is_over():
                return False
            self.taken += 1
            self._on_operation()
            return True

    def is_over(self) -> bool:
        most = self._plan.operations
        return (most is not None and self.taken >= most) or time.monotonic() > self._end


def make_bundles(root: Path) -> list[Bundle]:
    """Make two small bundles with different encoders."""
    paths = [tiny_bundle.write(root / f"bundle-{seed}", seed=seed, dim=DIM) for seed in (0, 1)]
    return [Bundle(path, load_bundle(path).manifest.encoder.fingerprint) for path in paths]


def run(plan: Plan, root: Path, *, on_operation: Callable[[], object] = lambda: None) -> Report:
    """Run clients and an administrator in an empty folder, until the plan is done or has failed.

    Args:
        plan: What to do.
        root: Folder for bundles, libraries and backups.
        on_operation: Called for every operation.
    """
    rng = random.Random(f"{plan.seed} sounds")
    sounds = [make_content(rng) for _ in range(N_SHARED_SOUNDS)]
    shared = Shared(Model(), Servers(plan.command), sounds)
    actors = [Actor(f"client{number}", plan.seed, shared) for number in range(plan.clients)]
    administrator = Administrator(root, make_bundles(root), plan.seed, shared, actors)
    begin = time.monotonic()
    budget = _Budget(plan, on_operation)
    administrator.start(is_killed_first=plan.events is None)
    clients = [Client(actor, budget.take) for actor in actors]
    for client in clients:
        client.start()
    try:
        _operate(plan, budget, administrator, shared)
        shared.over.set()
        if len(shared.model.findings) < plan.findings:
            administrator.finish()
    except ServerStartError as error:
        shared.model.report("wrong", "", f"a server did not start: {error}")
    finally:
        shared.over.set()
        for client in clients:
            client.join()
        administrator.close()
        shared.servers.kill_all()
    elapsed_s = time.monotonic() - begin
    findings, events = list(shared.model.findings), list(shared.events)[-KEPT_EVENTS:]
    return Report(budget.taken, elapsed_s, dict(shared.counts), findings, events)


def _operate(plan: Plan, budget: _Budget, administrator: Administrator, shared: Shared) -> None:
    """Let the administrator do something every so many operations: each event once, then any."""
    rng = random.Random(f"{plan.seed} events")
    names = list(EVENTS if plan.events is None else plan.events)
    weights = [EVENTS[name][1] for name in names]
    first = rng.sample(names, len(names))
    due = rng.randint(1, plan.interval)
    while not budget.is_over() and len(shared.model.findings) < plan.findings:
        if not names or budget.taken < due:
            time.sleep(0.01)
            continue
        due = max(due, budget.taken) + rng.randint(plan.interval // 3, 2 * plan.interval)
        administrator.do(first.pop() if first else rng.choices(names, weights)[0])


def temporary_run(plan: Plan, *, on_operation: Callable[[], object] = lambda: None) -> Report:
    """Run in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="minuend-torture-") as folder:
        return run(plan, Path(folder), on_operation=on_operation)
