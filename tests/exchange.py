"""One request to an ASGI application without a server, and its response."""

from __future__ import annotations

from collections.abc import Iterable

import anyio
import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Exchange:
    """One request and its response."""

    def __init__(
        self, chunks: Iterable[bytes] = (), *, method: str = "POST", **headers: str
    ) -> None:
        parts = list(chunks)
        self.scope: Scope = {
            "type": "http",
            "method": method,
            "path": "/",
            "query_string": b"",
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
            ],
        }
        self.unread: list[Message] = [
            {"type": "http.request", "body": part, "more_body": n < len(parts)}
            for n, part in enumerate(parts, 1)
        ]
        self.sent: list[Message] = []

    def run(self, app: ASGIApp) -> Exchange:
        anyio.run(self.ask, app)
        return self

    async def ask(self, app: ASGIApp) -> None:
        await app(self.scope, self.receive, self.send)

    async def receive(self) -> Message:
        return self.unread.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def code(self) -> str:
        return str(orjson.loads(self.body)["code"])


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(f"{len(body)} bytes")(scope, receive, send)
