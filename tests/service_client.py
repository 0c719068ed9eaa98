"""A client of an application without a socket; the application runs in its own event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import httpx
import orjson
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from starlette.types import Message

from service.app import create_app
from service.settings import Settings

T = TypeVar("T")


class Client:
    """Sends requests to an application; any thread may."""

    def __init__(self, app: FastAPI, portal: BlockingPortal) -> None:
        self.app = app
        self._portal = portal
        self._disconnected: list[asyncio.Task[None]] = []
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        )

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._portal.call(partial(self._client.request, method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def result(self, path: str, **options: Any) -> Any:
        """Post a request that must succeed and return the parsed response."""
        response = self.post(path, **options)
        assert response.status_code == 200, response.text
        return response.json()

    def put_clips(self, contents: Mapping[str, bytes]) -> None:
        """Store a clip for each id and file."""
        for clip_id, content in contents.items():
            assert self.put(f"/clips/{clip_id}", files={"audio": content}).is_success

    def put_vector(self, clip_id: str) -> None:
        """Store a clip without audio."""
        fingerprint = self.get("/info").json()["bundle"]["fingerprint"]
        line = orjson.dumps({"id": clip_id, "embedding": [1.0] * 8, "fingerprint": fingerprint})
        self.post("/clips/bulk", content=line, headers={"content-type": "application/x-ndjson"})

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in the thread of the event loop."""
        return self._portal.call(function)

    def disconnect(self, path: str, content: bytes) -> None:
        """Post a body, and disconnect without waiting for the response."""
        self._portal.call(self._disconnect, path, content)

    def leave(self, path: str, query: bytes, *, after: threading.Event) -> None:
        """Get something, disconnect after an event, and wait until the request has ended."""
        self._portal.call(self._leave, path, query, after)

    async def _leave(self, path: str, query: bytes, after: threading.Event) -> None:
        messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Message:
            if messages:
                return messages.pop()
            await anyio.to_thread.run_sync(after.wait)
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            raise AssertionError(f"sent to a disconnected client: {message}")

        scope = {"type": "http", "method": "GET", "path": path, "query_string": query}
        await self.app({**scope, "headers": []}, receive, send)

    async def _disconnect(self, path: str, content: bytes) -> None:
        messages: list[Message] = [
            {"type": "http.request", "body": content, "more_body": False},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Message:
            return messages.pop(0) if len(messages) > 1 else messages[0]

        async def send(message: Message) -> None:
            raise AssertionError(f"sent to a disconnected client: {message}")

        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
        self._disconnected.append(asyncio.create_task(self.app(scope, receive, send)))

    def close(self) -> None:
        self._portal.call(self._client.aclose)


@contextmanager
def serving(bundle: Path, library: Path, **settings: Any) -> Iterator[Client]:
    """Run an application on a bundle and a library, and give its client."""
    settings = {"threads": 1, "decode": "thread", **settings}
    app = create_app(Settings(bundle=bundle, library=library, **settings))
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
    ):
        client = Client(app, portal)
        try:
            yield client
        finally:
            client.close()
