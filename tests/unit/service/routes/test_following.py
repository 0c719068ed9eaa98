"""What is written over HTTP is indexed without waiting for a search."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import orjson
import pytest
import synth
from service_client import Client

from service.live_index import LiveIndex


def put_audio(client: Client) -> None:
    client.put("/clips/a", files={"audio": synth.encode(synth.tone(440))})


def post_vectors(client: Client) -> None:
    fingerprint = client.get("/info").json()["bundle"]["fingerprint"]
    line = {"id": "a", "embedding": [1.0] * 8, "fingerprint": fingerprint}
    headers = {"content-type": "application/x-ndjson"}
    client.post("/clips/bulk", content=orjson.dumps(line), headers=headers)


@pytest.mark.parametrize("write", [put_audio, post_vectors])
def test_what_is_written_is_indexed_before_anybody_searches(
    monkeypatch: pytest.MonkeyPatch, client: Client, write: Callable[[Client], None]
) -> None:
    refresh, indexed = LiveIndex.refresh, Event()

    def noted(self: LiveIndex) -> None:
        refresh(self)
        indexed.set()

    monkeypatch.setattr(LiveIndex, "refresh", noted)
    write(client)
    assert indexed.wait(10)
