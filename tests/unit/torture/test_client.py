"""The requests of a client come from the seed alone."""

from __future__ import annotations

from itertools import islice, repeat
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from torture.actor import Actor, Shared
from torture.client import Client
from torture.connection import Cut, NotSentError, Request
from torture.model import Model
from torture.server import Servers

N_OPERATIONS = 300


def draw_requests(seed: int, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Request, Cut | None]]:
    """Return what a client sends where no request arrives."""
    sent: list[tuple[Request, Cut | None]] = []

    def send(self: Actor, server: Any, request: Request, cut: Cut | None = None) -> NoReturn:
        sent.append((request, cut))
        raise NotSentError

    server = SimpleNamespace(number=1, bundle=SimpleNamespace(fingerprint="ab"))
    monkeypatch.setattr(Actor, "send", send)
    monkeypatch.setattr(Servers, "pick", lambda self, share: server)
    shared = Shared(Model(), Servers(()), [])
    left = islice(repeat(object()), N_OPERATIONS)
    Client(Actor("client", seed, shared), lambda: next(left, None) is not None).run()
    assert shared.model.findings == []
    return sent


def test_a_seed_gives_the_same_requests_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(draw_requests(7, monkeypatch)) > N_OPERATIONS / 2
    assert draw_requests(7, monkeypatch) == draw_requests(7, monkeypatch)
    assert draw_requests(7, monkeypatch) != draw_requests(8, monkeypatch)
