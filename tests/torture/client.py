"""A client in its own thread: operations in random order, drawn from the seed of the run."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping

from torture import reads, searches, writes
from torture.actor import Actor
from torture.connection import Cut, NoAnswerError, NotSentError, Request
from torture.server import Server

Operation = Callable[[Actor, Server], None]
LONGEST_WAIT_S = 0.01
WAIT_S = 0.01


def draw_cut(actor: Actor) -> Cut:
    """Leave within the upload, or after it: at once or while the server works."""
    wait_s = actor.rng.random() * LONGEST_WAIT_S
    return Cut(actor.rng.random() if actor.rng.random() < 0.5 else 1.0, wait_s)


def cut_put(actor: Actor, server: Server) -> None:
    writes.put(actor, server, draw_cut(actor))


def cut_bulk(actor: Actor, server: Server) -> None:
    writes.bulk(actor, server, draw_cut(actor))


def cut_delete(actor: Actor, server: Server) -> None:
    writes.delete(actor, server, Cut(1.0, actor.rng.random() * LONGEST_WAIT_S))


def cut_read(actor: Actor, server: Server) -> None:
    """Leave before the audio or the listing has come."""
    path = actor.rng.choice((f"/clips/{actor.draw_id()}/audio", "/clips"))
    actor.send(server, Request("GET", path), Cut(1.0, actor.rng.random() * LONGEST_WAIT_S))


def hasty_put(actor: Actor, server: Server) -> None:
    writes.put(actor, server, deadline=_draw_deadline(actor))


def hasty_bulk(actor: Actor, server: Server) -> None:
    writes.bulk(actor, server, deadline=_draw_deadline(actor))


def _draw_deadline(actor: Actor) -> str:
    return f"{10 ** actor.rng.uniform(-4, -1.3):.6f}"


OPERATIONS: Mapping[str, tuple[Operation, int]] = {
    "put": (writes.put, 18),
    "post": (writes.post, 6),
    "bulk": (writes.bulk, 8),
    "delete": (writes.delete, 10),
    "refused write": (writes.refused, 2),
    "put cut": (cut_put, 3),
    "bulk cut": (cut_bulk, 2),
    "delete cut": (cut_delete, 2),
    "put with deadline": (hasty_put, 2),
    "bulk with deadline": (hasty_bulk, 1),
    "get": (reads.get, 16),
    "audio": (reads.audio, 12),
    "part of audio": (reads.part, 4),
    "list own": (reads.list_own, 3),
    "list all": (reads.list_all, 1),
    "search own": (searches.search_own, 5),
    "search by itself": (searches.search_by_itself, 8),
    "search by clip": (searches.search_stored, 3),
    "search": (searches.search_any, 3),
    "read cut": (cut_read, 2),
}
"""Operations and how often each is chosen, of 111."""


class Client(threading.Thread):
    """Runs operations until the run is over.

    Args:
        actor: The client.
        take: Takes one operation from those that the run has left; false if there is none.
    """

    def __init__(self, actor: Actor, take: Callable[[], bool]) -> None:
        super().__init__(name=actor.name, daemon=True)
        self._actor = actor
        self._take = take

    def run(self) -> None:
        """Run operations one after another; there may be no server for a while."""
        actor, shared = self._actor, self._actor.shared
        names = list(OPERATIONS)
        weights = [weight for _, weight in OPERATIONS.values()]
        while not shared.over.is_set() and self._take():
            (name,) = actor.rng.choices(names, weights)
            share = actor.rng.random()
            while not self._attempt(name, share) and not shared.over.is_set():
                time.sleep(WAIT_S)
        actor.close()

    def _attempt(self, name: str, share: float) -> bool:
        """Run an operation on one of the servers; return false if there is none."""
        actor, shared = self._actor, self._actor.shared
        with shared.gate.operation():
            if (server := shared.servers.pick(share)) is None:
                return False
            shared.count(name)
            try:
                OPERATIONS[name][0](actor, server)
            except (NotSentError, NoAnswerError):
                shared.count("operations broken off")
            except Exception:
                actor.model.report("wrong", name, traceback.format_exc())
            return True
