"""One request in the four kinds of body, and the faults that each kind can have."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import synth
from exchange import Exchange
from fastapi import Request
from service_client import Client
from starlette.formparsers import MultiPartException

from service.api.forms import MAX_MEMORY_BYTES, buffer_body

TONE = synth.encode(synth.tone(440))
LONG = synth.encode(synth.noise(0, 60.0))
EMBED_OPTIONS = {"encoding": "base64"}


def code(client: Client, path: str, **options: Any) -> str:
    response = client.post(path, **options)
    return str(response.json().get("code", response.status_code))


def test_a_file_part_and_a_raw_body_are_equivalent(client: Client) -> None:
    part = client.post("/embed", files={"audio": ("tone.wav", TONE)}).json()
    raw = client.post("/embed", content=TONE, headers={"content-type": "audio/wav"}).json()
    untyped = client.post("/embed", content=TONE).json()

    assert part["embeddings"][0].pop("filename") == "tone.wav"
    assert raw["embeddings"][0].pop("filename") is None
    assert untyped["embeddings"][0].pop("filename") is None
    assert part == raw == untyped


def test_fields_are_read_from_the_body_or_the_query(client: Client) -> None:
    files = {"audio": TONE}
    body = client.post("/embed", files=files, data=EMBED_OPTIONS).json()
    query = client.post("/embed", files=files, params=EMBED_OPTIONS).json()
    raw = client.post("/embed", content=TONE, params=EMBED_OPTIONS).json()

    embeddings = {response["embeddings"][0]["embedding"] for response in (body, query, raw)}
    assert len(embeddings) == 1
    assert isinstance(embeddings.pop(), str)


def test_fields_without_files_are_read_from_json_urlencoded_or_query(client: Client) -> None:
    client.put_clips({"tone": TONE, "noise": synth.encode(synth.noise(0))})

    responses = [
        client.post("/search", json={"clip_id": "tone", "k": 5}),
        client.post("/search", data={"clip_id": "tone", "k": "5"}),
        client.post("/search?clip_id=tone&k=5"),
    ]

    assert [response.json()["hits"][0]["clip_id"] for response in responses] == ["noise"] * 3


def test_a_large_upload_goes_through_a_temporary_file(client: Client) -> None:
    assert len(LONG) > MAX_MEMORY_BYTES

    part = client.post("/embed", files={"audio": LONG})
    raw = client.post("/embed", content=LONG)

    assert part.json()["embeddings"][0]["duration_s"] == 60.0
    assert raw.json()["embeddings"][0]["embedding"] == part.json()["embeddings"][0]["embedding"]


def test_a_field_given_twice_and_a_file_sent_as_text_are_refused(client: Client) -> None:
    twice = {"files": {"audio": TONE}, "data": {"k": "1"}, "params": {"k": "2"}}
    as_text = {"files": {"audio": (None, "tone.wav")}}

    assert code(client, "/search", **twice) == "request_invalid"
    assert code(client, "/embed", **as_text) == "request_invalid"


def test_an_unknown_file_part_is_refused_by_name(client: Client) -> None:
    response = client.post("/embed", files={"sound": TONE})

    assert response.json()["code"] == "request_invalid"
    assert "'sound'" in response.json()["detail"]
    assert "audio" in response.json()["detail"]


def test_only_some_endpoints_accept_a_part_twice(client: Client) -> None:
    twice = [("audio", ("a.wav", TONE)), ("audio", ("b.wav", TONE))]

    assert code(client, "/search", files=twice) == "request_invalid"
    names = [clip["filename"] for clip in client.post("/embed", files=twice).json()["embeddings"]]
    assert names == ["a.wav", "b.wav"]


@pytest.mark.parametrize(
    ("content_type", "content", "expected"),
    [
        ("application/json", b"[1]", "request_invalid"),
        ("application/json", b'{"clip_id": NaN}', "request_invalid"),
        ("application/json", b"[" * 4_200_000, "body_too_large"),
        ("multipart/form-data", b"", "request_invalid"),
        ("multipart/form-data; boundary=x", b"--y\r\nbroken", "request_invalid"),
        ("application/x-www-form-urlencoded", b"&".join([b"k=1"] * 100), "request_invalid"),
    ],
)
def test_malformed_bodies_are_refused(
    client: Client, content_type: str, content: bytes, expected: str
) -> None:
    headers = {"content-type": content_type}

    assert code(client, "/search", content=content, headers=headers) == expected


def test_json_is_refused_where_audio_is_needed(client: Client) -> None:
    response = client.post("/embed", json={})

    assert response.status_code == 415
    assert "multipart/form-data" in response.json()["detail"]


@pytest.mark.parametrize("headers", [{}, {"content-type": "audio/wav"}])
def test_a_raw_body_that_is_refused_is_not_buffered(
    client: Client, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the body was buffered")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)

    response = client.post("/difference", content=LONG, headers=headers)

    assert (response.status_code, response.json()["code"]) == (415, "media_unsupported")


def test_a_large_raw_body_is_written_by_another_thread_than_the_event_loops(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set()

    class Watched(tempfile.SpooledTemporaryFile[bytes]):
        def write(self, content: Any) -> int:
            threads.add(threading.get_ident())
            return super().write(content)

        def writelines(self, lines: Iterable[Any]) -> None:
            threads.add(threading.get_ident())
            super().writelines(lines)

    monkeypatch.setattr(tempfile, "TemporaryFile", Watched)

    assert client.post("/embed", content=LONG).status_code == 200
    assert threads
    assert client.call(threading.get_ident) not in threads


@pytest.mark.anyio
@pytest.mark.parametrize(
    "n_bytes", [0, 10, MAX_MEMORY_BYTES, MAX_MEMORY_BYTES + 1, 3 * MAX_MEMORY_BYTES]
)
async def test_a_buffered_body_is_open_at_its_start_and_closed_with_the_stack(n_bytes: int) -> None:
    body = bytes(range(256)) * (n_bytes // 256 + 1)
    chunks = [body[start : start + 65_536] for start in range(0, n_bytes, 65_536)]
    exchange = Exchange([*chunks, b""])

    async with AsyncExitStack() as opened:
        file = await buffer_body(Request(exchange.scope, exchange.receive), opened)
        content = file.read()

    assert file.closed
    assert content == b"".join(chunks)


def test_too_many_files_have_their_own_code_whatever_starlette_calls_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reworded(MultiPartException):
        def __init__(self, message: str) -> None:
            super().__init__("reworded")

    monkeypatch.setattr("starlette.formparsers.MultiPartException", Reworded)
    files = [("audio", ("tone.wav", TONE))] * 33

    response = client.post("/embed", files=files)

    assert (response.status_code, response.json()["code"]) == (413, "too_many_files")
    assert "at most 32 files" in response.json()["detail"]
    assert len(client.post("/embed", files=files[:32]).json()["embeddings"]) == 32
