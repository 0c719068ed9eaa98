"""The open connections of the server: their number, and the time that each state may last.

A connection is in one queue at a time, in the order in which connections entered it. So the next
one that is late, or that is closed to make room, is always the first of a queue.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from service.errors import HeadTimeoutError, ServiceError

N_RESERVED = 16
"""Connections beyond the cap; only probes are answered on them."""
PROBES_ONLY = "probes_only"
"""Key in the state of a request on such a connection."""
TICK_S = 0.25
"""Time between two checks of deadlines [s]."""
LINGER_S = 2.0
"""Time after which a connection that was refused, or whose body was not wanted, is closed [s]."""
OLD_BODY_S = 5.0
"""Age from which a body that is being received may be given up to make room [s]."""
MAX_UNSENT_BYTES = 128 * 1024 * 1024
"""Most bytes of responses that clients have not read, of all connections together."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of connections.

    Attributes:
        max_connections: Most open connections.
        head_timeout_s: Longest time from the first byte of a request to the end of its head [s].
        keep_alive_s: Longest time without a request [s].
        read_timeout_s: Longest time for which a client reads nothing of a response [s].
    """

    max_connections: int
    head_timeout_s: float
    keep_alive_s: float
    read_timeout_s: float


class Connection(Protocol):
    """Interface of a connection in the pool."""

    def refuse(self, error: ServiceError) -> None:
        """Answer with an error and close."""

    def cut(self) -> None:
        """Close at once."""

    def unsent_bytes(self) -> int:
        """Return the bytes that wait to be sent."""


Queue = OrderedDict[Connection, float]
"""Connections with the time at which they entered, oldest first."""


@dataclass(slots=True)
class _Unsent:
    n_bytes: int
    since: float


class ConnectionPool:
    """The open connections.

    If there are too many, the one that has been idle for the longest time is closed for a new one,
    then the one whose head has been incomplete for the longest time, and so on. If all are busy, a
    few more are opened on which only probes are answered.

    Args:
        limits: Their limits; also an attribute.
        clock: Returns the time of a steady clock [s].
        on_change: Called with the number of connections when it changes.
        on_closure: Called with the reason when a connection is closed against the client's will.

    Attributes:
        idle: Those without a request.
        heads: Those with an incomplete request line or header.
        bodies: Those with an incomplete body.
        answering: Those with a complete request or an unread response.
        lingering: Those that will be closed, and whose input is not wanted.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        *,
        clock: Callable[[], float],
        on_change: Callable[[int], object],
        on_closure: Callable[[str], object],
    ) -> None:
        self.limits = limits
        self._clock = clock
        self._on_change = on_change
        self._on_closure = on_closure
        self._n_open = 0
        self._timer: asyncio.TimerHandle | None = None
        self.idle, self.heads, self.bodies = Queue(), Queue(), Queue()
        self.answering, self.lingering = Queue(), Queue()
        self._queues: dict[Connection, Queue] = {}
        self._unsent: OrderedDict[Connection, _Unsent] = OrderedDict()
        self._unsent_bytes = 0

    def add(self, connection: Connection) -> bool:
        """Add a new connection; cut it if there is no room even for probes.

        Returns:
            Whether only probes may be answered on it.
        """
        if self._n_open >= self.limits.max_connections:
            self.make_room()
        is_reserved = self._n_open >= self.limits.max_connections
        self._n_open += 1
        self._on_change(self._n_open)
        self._queues[connection] = self.idle
        self.idle[connection] = self._clock()
        if self._n_open > self.limits.max_connections + N_RESERVED:
            self._cut(connection, "full")
        if self._timer is None:
            self._schedule()
        return is_reserved

    def move(self, connection: Connection, queue: Queue) -> None:
        """Put a connection at the end of a queue; one that was removed stays so."""
        if (current := self._queues.get(connection)) is not None:
            del current[connection]
            queue[connection] = self._clock()
            self._queues[connection] = queue

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        if (queue := self._queues.pop(connection, None)) is None:
            return
        del queue[connection]
        self.note_sent(connection)
        self._n_open -= 1
        self._on_change(self._n_open)

    def is_in(self, connection: Connection, queue: Queue) -> bool:
        """Return whether a connection is in a queue."""
        return self._queues.get(connection) is queue

    def note_unsent(self, connection: Connection) -> None:
        """Note that a part of a response waits until the client reads."""
        self.note_sent(connection)
        unsent = _Unsent(connection.unsent_bytes(), self._clock())
        self._unsent[connection] = unsent
        self._unsent_bytes += unsent.n_bytes
        while self._unsent_bytes > MAX_UNSENT_BYTES:
            self._cut(next(iter(self._unsent)), "unread")

    def note_sent(self, connection: Connection) -> None:
        """Note that nothing waits until the client reads."""
        if (unsent := self._unsent.pop(connection, None)) is not None:
            self._unsent_bytes -= unsent.n_bytes

    def make_room(self) -> None:
        """Close the connection whose loss harms least, if there is one that is not busy."""
        now = self._clock()
        for queue in (self.lingering, self.idle, self.heads):
            if queue:
                self._cut(next(iter(queue)), "evicted")
                return
        for connection, unsent in self._unsent.items():
            if now - unsent.since >= TICK_S:
                self._cut(connection, "evicted")
                return
        for connection in _late(self.bodies, now - OLD_BODY_S)[:1]:
            self._cut(connection, "evicted")

    def check(self) -> None:
        """Close the connections that are late."""
        now, limits = self._clock(), self.limits
        for connection in _late(self.idle, now - limits.keep_alive_s):
            self._cut(connection, None)
        for connection in _late(self.lingering, now - LINGER_S):
            self._cut(connection, None)
        for connection in _late(self.heads, now - limits.head_timeout_s):
            detail = f"the request line and headers took over {limits.head_timeout_s:g} s"
            connection.refuse(HeadTimeoutError(detail))
        for connection, unsent in list(self._unsent.items()):
            if connection.unsent_bytes() < unsent.n_bytes:
                self.note_unsent(connection)
            elif now - unsent.since >= limits.read_timeout_s:
                self._cut(connection, "unread")

    def note_closure(self, reason: str) -> None:
        """Count a connection that is closed against the client's will."""
        self._on_closure(reason)

    def _cut(self, connection: Connection, reason: str | None) -> None:
        self.remove(connection)
        connection.cut()
        if reason is not None:
            self._on_closure(reason)

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.check()
        if self._n_open:
            self._schedule()


def _late(queue: Queue, before: float) -> list[Connection]:
    """Return the connections that entered a queue at or before a time."""
    late = []
    for connection, since in queue.items():
        if since > before:
            break
        late.append(connection)
    return late
