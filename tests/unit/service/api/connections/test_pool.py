from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.api.connections import pool as module
from service.api.connections.pool import N_RESERVED, ConnectionLimits, ConnectionPool
from service.errors import ServiceError

LIMITS = ConnectionLimits(max_connections=3, head_timeout_s=10, keep_alive_s=75, read_timeout_s=30)


class FakeConnection:
    """A connection that notes what is done to it."""

    def __init__(self) -> None:
        self.refusals: list[str] = []
        self.n_cuts = 0
        self.n_unsent = 0

    def refuse(self, error: ServiceError) -> None:
        self.refusals.append(error.code)

    def cut(self) -> None:
        self.n_cuts += 1

    def unsent_bytes(self) -> int:
        return self.n_unsent


class Scene:
    """A pool with a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.counts: list[int] = []
        self.closures: list[str] = []
        self.pool = ConnectionPool(
            LIMITS,
            clock=lambda: self.now,
            on_change=self.counts.append,
            on_closure=self.closures.append,
        )

    def open(self, n: int) -> list[FakeConnection]:
        """Add connections, one a second."""
        opened = [FakeConnection() for _ in range(n)]
        for connection in opened:
            self.pool.add(connection)
            self.now += 1
        return opened


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(ConnectionPool, "_schedule", lambda pool: None)
    return Scene()


def test_the_longest_idle_connection_makes_room(scene: Scene) -> None:
    first, second, third = scene.open(3)
    scene.pool.move(first, scene.pool.answering)
    scene.pool.move(first, scene.pool.idle)  # it had a request meanwhile

    assert scene.pool.add(FakeConnection()) is False
    assert [it.n_cuts for it in (first, second, third)] == [0, 1, 0]
    assert scene.closures == ["evicted"]


def test_an_idle_connection_goes_before_one_with_half_a_head(scene: Scene) -> None:
    first, second, third = scene.open(3)
    scene.pool.move(first, scene.pool.heads)
    scene.pool.move(second, scene.pool.bodies)

    scene.open(2)
    assert [it.n_cuts for it in (first, second, third)] == [0, 0, 1]


def test_a_body_is_given_up_only_if_it_has_taken_long(scene: Scene) -> None:
    busy = scene.open(3)
    for connection in busy:
        scene.pool.move(connection, scene.pool.bodies)
        scene.now += 1

    assert scene.pool.add(FakeConnection()) is True
    scene.now += 3
    scene.pool.make_room()  # takes the one that was just added, as it is idle
    scene.pool.make_room()
    assert [it.n_cuts for it in busy] == [1, 0, 0]


def test_busy_connections_stay_and_probes_have_a_reserve(scene: Scene) -> None:
    busy = scene.open(3)
    for connection in busy:
        scene.pool.move(connection, scene.pool.answering)
    reserved = [FakeConnection() for _ in range(N_RESERVED)]
    for connection in reserved:
        assert scene.pool.add(connection) is True
        scene.pool.move(connection, scene.pool.answering)
    too_many = FakeConnection()
    scene.pool.add(too_many)

    assert too_many.n_cuts == 1
    assert sum(it.n_cuts for it in busy + reserved) == 0
    assert scene.closures == ["full"]
    assert scene.counts[-1] == 3 + N_RESERVED


def test_a_slot_that_is_free_again_is_no_reserve(scene: Scene) -> None:
    first, second, third = scene.open(3)
    for connection in (first, second, third):
        scene.pool.move(connection, scene.pool.answering)
    assert scene.pool.add(FakeConnection()) is True
    scene.pool.remove(first)
    scene.pool.remove(first)  # as closing reports it again
    scene.pool.move(first, scene.pool.idle)

    assert scene.pool.add(FakeConnection()) is False
    assert scene.counts[-1] == 3


def test_late_connections_are_closed(scene: Scene) -> None:
    idle, half, lingering = scene.open(3)
    scene.pool.move(half, scene.pool.heads)
    scene.pool.move(lingering, scene.pool.lingering)
    scene.now = 3 + module.LINGER_S
    scene.pool.check()
    assert (idle.n_cuts, half.refusals, lingering.n_cuts) == (0, [], 1)

    scene.now = 13
    scene.pool.check()
    assert (idle.n_cuts, half.refusals) == (0, ["head_timeout"])

    scene.now = 75
    scene.pool.check()
    assert idle.n_cuts == 1
    assert scene.closures == []  # a client expects each of these


def test_a_client_that_reads_a_little_is_kept(scene: Scene) -> None:
    reading, stalled = scene.open(2)
    for connection in (reading, stalled):
        connection.n_unsent = 1000
        scene.pool.move(connection, scene.pool.answering)
        scene.pool.note_unsent(connection)
    scene.now = 29
    reading.n_unsent = 900
    scene.pool.check()
    scene.now = 33
    scene.pool.check()

    assert (reading.n_cuts, stalled.n_cuts) == (0, 1)
    assert scene.closures == ["unread"]


def test_unread_answers_have_a_bound_together(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_UNSENT_BYTES", 1000)
    first, second, third = scene.open(3)
    for connection in (first, second, third):
        connection.n_unsent = 400
    scene.pool.note_unsent(first)
    scene.pool.note_unsent(second)
    scene.pool.note_sent(second)
    scene.pool.note_unsent(second)
    assert first.n_cuts == 0

    scene.pool.note_unsent(third)
    assert [it.n_cuts for it in (first, second, third)] == [1, 0, 0]
