from __future__ import annotations

from threading import Event
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
import synth
from service_client import Client

from service.api.vector_encoding import to_base64
from service.library.synced_index import SyncedIndex

NDJSON = {"content-type": "application/x-ndjson"}


def line(client: Client, clip_id: str, embedding: Any) -> bytes:
    fingerprint = client.get("/info").json()["bundle"]["fingerprint"]
    values = {"id": clip_id, "embedding": embedding, "fingerprint": fingerprint}
    return orjson.dumps({**values, "metadata": {"bulk": True}}) + b"\n"


def send(client: Client, *lines: bytes) -> httpx.Response:
    return client.post("/clips/bulk", content=b"".join(lines), headers=NDJSON)


def test_stored_vectors_are_found(client: Client) -> None:
    tone = synth.encode(synth.tone(440))
    vector = client.post("/embed", content=tone).json()["embeddings"][0]["embedding"]
    other = to_base64(np.arange(8, dtype=np.float32))

    response = send(client, line(client, "tone", vector), line(client, "other", other))

    assert response.json()["created"] == 2
    first = client.post("/search", files={"audio": tone}).json()["hits"][0]
    assert (first["clip_id"], first["audio"]) == ("tone", None)
    assert first["metadata"] == {"bulk": True}


def test_vectors_are_indexed_before_a_search(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    refresh, indexed = SyncedIndex.refresh, Event()

    def noted(self: SyncedIndex) -> None:
        refresh(self)
        indexed.set()

    monkeypatch.setattr(SyncedIndex, "refresh", noted)
    send(client, line(client, "a", [1.0] * 8))
    assert indexed.wait(10)


def test_a_clip_without_audio_cannot_be_played(client: Client) -> None:
    send(client, line(client, "a", [1.0] * 8))

    assert client.get("/clips/a/audio").json()["code"] == "clip_audio_missing"


def test_a_second_upload_updates(client: Client) -> None:
    send(client, line(client, "a", [1.0] * 8))

    response = send(client, line(client, "a", [2.0] * 8), line(client, "b", [1.0] * 8)).json()

    assert (response["created"], response["updated"]) == (1, 1)


def test_with_one_faulty_line_nothing_is_stored(client: Client) -> None:
    response = send(client, line(client, "a", [1.0] * 8), line(client, "b", [1.0]))

    assert response.json()["code"] == "request_invalid"
    assert "line 2" in response.json()["detail"]
    assert client.get("/clips").json()["clips"] == []


@pytest.mark.parametrize("content_type", ["application/json", "text/csv", ""])
def test_other_media_types_are_refused(client: Client, content_type: str) -> None:
    response = client.post("/clips/bulk", content=b"{}", headers={"content-type": content_type})

    assert response.json()["code"] == "media_unsupported"
