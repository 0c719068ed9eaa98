"""One client: its ids, its sounds, and its requests, whose answers are noted in the history."""

from __future__ import annotations

import json
import random
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Event, Lock
from typing import Any

from torture.connection import Answer, Connection, Cut, NoAnswerError, NotSentError, Request
from torture.model import Model
from torture.server import Server, Servers, now
from torture.values import LONGEST_S, Content, Value, make_content, make_metadata

N_PUT_IDS = 14
N_VECTOR_IDS = 8
N_OWN_SOUNDS = 8
SHARED = "shared"
SHARED_IDS = tuple(f"shared-{number}" for number in range(8))
SHARED_SHARE = 0.15
KEPT_EVENTS = 20_000
IDLE_S = 20.0
"""Longest time for which a connection is kept without a request [s]."""


class Gate:
    """Lets operations through, or waits for the end of those that run and keeps others out."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._n_inside = 0
        self._n_closed = 0

    @contextmanager
    def operation(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._n_closed)
            self._n_inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_inside -= 1
                self._changed.notify_all()

    @contextmanager
    def closed(self) -> Iterator[None]:
        with self._changed:
            self._n_closed += 1
            self._changed.wait_for(lambda: not self._n_inside)
        try:
            yield
        finally:
            with self._changed:
                self._n_closed -= 1
                self._changed.notify_all()


@dataclass
class Shared:
    """What all clients of a run share.

    Attributes:
        model: What the library may hold.
        servers: The servers to ask.
        sounds: Sounds that several ids may have.
        counts: Operations by kind, and what became of them.
        events: The last operations and what they gave, for a report of a finding.
        over: Set when the run ends.
        windows: Number of windows of each sound, once it is known.
    """

    model: Model
    servers: Servers
    sounds: list[Content]
    counts: Counter[str] = field(default_factory=Counter)
    events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    over: Event = field(default_factory=Event)
    gate: Gate = field(default_factory=Gate)
    windows: dict[str, int] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def count(self, name: str, n: int = 1) -> None:
        with self.lock:
            self.counts[name] += n

    def note(self, who: str, what: str, **outcome: Any) -> None:
        self.events.append({"at": round(now(), 6), "who": who, "what": what, **outcome})


class Actor:
    """A client that sends one request after another.

    Args:
        name: Name; it owns the ids that begin with it.
        seed: Seed of everything it does.
        shared: What all clients share.
    """

    def __init__(self, name: str, seed: int, shared: Shared) -> None:
        self.name = name
        self.rng = random.Random(f"{seed} {name}")
        self.shared = shared
        self.model = shared.model
        self.sounds = [make_content(self.rng) for _ in range(N_OWN_SOUNDS)]
        self.put_ids = [f"{name}-put-{number}" for number in range(N_PUT_IDS)]
        self.vector_ids = [f"{name}-vector-{number}" for number in range(N_VECTOR_IDS)]
        self.etags: dict[str, tuple[str, str]] = {}
        self._n_versions = 0
        self._connections: dict[int, tuple[Connection, float]] = {}

    @property
    def own_ids(self) -> list[str]:
        """The ids that only this client writes."""
        return [*self.put_ids, *self.vector_ids, *(sound.derived_id for sound in self.sounds)]

    def draw_id(self) -> str:
        """Choose an id: one of its own, or one of those that all clients write."""
        is_shared = self.rng.random() < SHARED_SHARE
        return self.rng.choice(SHARED_IDS if is_shared else self.own_ids)

    def new_metadata(self, key: str) -> dict[str, Any]:
        """Return metadata that no other write has."""
        self._n_versions += 1
        writer = SHARED if key in SHARED_IDS else self.name
        return make_metadata(self.rng, writer, f"{self.name}.{self._n_versions}")

    def send(self, server: Server, request: Request, cut: Cut | None = None) -> Answer:
        """Send a request. A living server that does not answer, or answers 500, is a finding.

        Raises:
            NotSentError: See `Connection.send`.
            NoAnswerError: See `Connection.send`.
        """
        self.shared.count("requests")
        connection = self._connect(server)
        start = now()
        try:
            answer = connection.send(request, cut)
        except (NotSentError, NoAnswerError) as error:
            self._note(request, server, start, error=str(error))
            if cut is None and not server.is_doomed:
                self._report(request, f"no answer of a living server: {error}")
            raise
        self._note(request, server, start, status=answer.status, code=answer.code)
        if answer.status >= 500 and answer.status not in (503, 504):
            text = f"answered {answer.status} {answer.code}: {server.faults()}"
            self._report(request, text)
        return answer

    def close(self) -> None:
        """Close all connections."""
        for connection, _ in self._connections.values():
            connection.close()

    def check_windows(self, key: str, record: Mapping[str, Any]) -> None:
        """Check that a sound always has as many windows, and short ones have none."""
        sha256, n_windows = record["sha256"], record["windows"]
        if sha256 is None:
            is_right = n_windows == 0
        else:
            is_right = (n_windows > 0) == (record["duration_s"] > LONGEST_S)
            is_right &= self.shared.windows.setdefault(sha256, n_windows) == n_windows
        if not is_right:
            self.model.report("wrong", key, f"has {n_windows} windows: {json.dumps(record)}")

    def _connect(self, server: Server) -> Connection:
        """Return the connection to a server, and close those of servers before it."""
        connection, used = self._connections.pop(server.number, (None, 0.0))
        if connection is None or now() - used > IDLE_S:
            if connection is not None:
                connection.close()
            connection = Connection(server.port)
        for number in [number for number in self._connections if number < server.number - 2]:
            self._connections.pop(number)[0].close()
        self._connections[server.number] = (connection, now())
        return connection

    def _note(self, request: Request, server: Server, start: float, **outcome: Any) -> None:
        began = round(start, 6)
        self.shared.note(self.name, str(request), began=began, server=server.number, **outcome)

    def _report(self, request: Request, text: str) -> None:
        self.model.report("wrong", request.path, f"{request} {text}")


def values_of(written: Mapping[str, Value]) -> str:
    """Describe a write, for the history."""
    return ", ".join(f"{key}: {value}" for key, value in written.items())
