"""The server with a planted fault, to show that the model test finds it.

Run as `python faulty_server.py FAULT`, with the settings of the server in the environment.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import unittest.mock
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from fastapi import FastAPI

import service.server
from service.app import create_app
from service.settings import Settings, load_settings

EVERY = 12
"""Every so many requests of its kind meet the fault."""

App = Callable[..., Awaitable[None]]
Scope = MutableMapping[str, Any]
Messages = list[MutableMapping[str, Any]]


class Fault:
    """ASGI layer in front of the whole application; a subclass falsifies some of its answers."""

    method = "GET"

    def __init__(self, app: App) -> None:
        self._app = app
        self._n = 0

    def concerns(self, path: str) -> bool:
        """Return whether a request for this path may meet the fault."""
        return path.startswith("/clips/") and path.count("/") == 2

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] != self.method
            or not self.concerns(scope["path"])
        ):
            await self._app(scope, receive, send)
        else:
            self._n += 1
            for message in await self.answer(scope, receive, is_due=self._n % EVERY == 0):
                await send(message)

    async def answer(self, scope: Scope, receive: Any, *, is_due: bool) -> Messages:
        """Return the messages of the answer."""
        raise NotImplementedError

    async def ask(self, scope: Scope, receive: Any, **changed: Any) -> Messages:
        """Return the true answer to a request."""
        messages: Messages = []

        async def keep(message: MutableMapping[str, Any]) -> None:
            messages.append(message)

        await self._app({**scope, "state": {**scope.get("state", {})}, **changed}, receive, keep)
        return messages


class WriteLost(Fault):
    """A new clip is acknowledged and is gone."""

    method = "PUT"

    async def answer(self, scope: Scope, receive: Any, *, is_due: bool) -> Messages:
        messages = await self.ask(scope, receive)
        if is_due and messages[0]["status"] == 201:
            await self.ask(scope, _empty, method="DELETE", headers=_host(scope))
        return messages


class DeletionIgnored(Fault):
    """A deletion is acknowledged and does nothing."""

    method = "DELETE"

    async def answer(self, scope: Scope, receive: Any, *, is_due: bool) -> Messages:
        method = "GET" if is_due else self.method
        messages = await self.ask(scope, receive, method=method)
        if is_due and messages[0]["status"] == 200:
            start = {"type": "http.response.start", "status": 204, "headers": []}
            return [start, {"type": "http.response.body", "body": b""}]
        return messages


class OldMetadata(Fault):
    """A clip is read as it was when it was read before."""

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._before: dict[str, Messages] = {}

    async def answer(self, scope: Scope, receive: Any, *, is_due: bool) -> Messages:
        messages = await self.ask(scope, receive)
        old = self._before.setdefault(scope["path"], messages)
        return old if is_due else messages


class AudioDamaged(Fault):
    """One bit of the audio is another."""

    def concerns(self, path: str) -> bool:
        return path.endswith("/audio")

    async def answer(self, scope: Scope, receive: Any, *, is_due: bool) -> Messages:
        messages = await self.ask(scope, receive)
        if is_due and messages[0]["status"] == 200:
            body = next(message for message in messages if message.get("body"))
            body["body"] = bytes([body["body"][0] ^ 1]) + body["body"][1:]
        return messages


class HitMissing(Fault):
    """The last hit of a search is left out."""

    method = "POST"

    def concerns(self, path: str) -> bool:
        return path == "/search"

    async def answer(self, scope: Scope, receive: Any, *, is_due: bool) -> Messages:
        messages = await self.ask(scope, receive)
        if not is_due or messages[0]["status"] != 200:
            return messages
        answer = json.loads(messages[1]["body"])
        answer["hits"] = answer["hits"][:-1]
        body = json.dumps(answer).encode()
        length = (b"content-length", str(len(body)).encode())
        kept = [each for each in messages[0]["headers"] if each[0] != length[0]]
        return [{**messages[0], "headers": [*kept, length]}, {**messages[1], "body": body}]


class PageSkips(Fault):
    """A listing leaves out the first clip of a page."""

    def concerns(self, path: str) -> bool:
        return path == "/clips"

    async def answer(self, scope: Scope, receive: Any, *, is_due: bool) -> Messages:
        messages = await self.ask(scope, receive)
        if is_due and messages[0]["status"] == 200:
            answer = json.loads(messages[1]["body"])
            answer["clips"] = answer["clips"][1:]
            body = json.dumps(answer).encode()
            messages[1]["body"] = body.ljust(len(messages[1]["body"]))
        return messages


FAULTS: Mapping[str, type[Fault]] = {
    "write lost": WriteLost,
    "deletion ignored": DeletionIgnored,
    "old metadata": OldMetadata,
    "audio damaged": AudioDamaged,
    "hit missing": HitMissing,
    "page skips": PageSkips,
}
LOST_AT_A_KILL = "lost at a kill"
"""Writes reach the folder of the library only when the server stops in order."""


def main(fault: str) -> int:
    """Serve with a fault until the process is told to stop."""
    settings = load_settings()
    if fault == LOST_AT_A_KILL:
        return _serve_copy(settings)

    def create_faulty(settings: Settings) -> FastAPI:
        app = create_app(settings)
        app.add_middleware(FAULTS[fault])
        return app

    with unittest.mock.patch("service.server.create_app", create_faulty):
        return service.server.serve(settings)


def _serve_copy(settings: Settings) -> int:
    copy = settings.library.with_name(f"copy-{os.getpid()}")
    if settings.library.exists():
        shutil.copytree(settings.library, copy)
    code = service.server.serve(settings.model_copy(update={"library": copy}))
    shutil.rmtree(settings.library, ignore_errors=True)
    shutil.copytree(copy, settings.library)
    return code


async def _empty() -> Mapping[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


def _host(scope: Scope) -> list[tuple[bytes, bytes]]:
    return [header for header in scope["headers"] if header[0] == b"host"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
