"""One request, four ways to send it; and what is refused whichever way it comes."""

from __future__ import annotations

from typing import Any

import pytest
import synth
from service_client import Client

TONE = synth.encode(synth.tone(440))
EMBED_OPTIONS = {"encoding": "base64"}


def code(client: Client, path: str, **options: Any) -> str:
    answer = client.post(path, **options)
    return str(answer.json().get("code", answer.status_code))


def test_a_file_part_and_a_raw_body_say_the_same(client: Client) -> None:
    part = client.post("/embed", files={"audio": ("tone.wav", TONE)}).json()
    raw = client.post("/embed", content=TONE, headers={"content-type": "audio/wav"}).json()
    untyped = client.post("/embed", content=TONE).json()

    assert part["embeddings"][0].pop("filename") == "tone.wav"
    assert raw["embeddings"][0].pop("filename") is None
    assert untyped["embeddings"][0].pop("filename") is None
    assert part == raw == untyped


def test_fields_stand_in_the_body_or_in_the_query(client: Client) -> None:
    files = {"audio": TONE}
    body = client.post("/embed", files=files, data=EMBED_OPTIONS).json()
    query = client.post("/embed", files=files, params=EMBED_OPTIONS).json()
    raw = client.post("/embed", content=TONE, params=EMBED_OPTIONS).json()

    embeddings = {answer["embeddings"][0]["embedding"] for answer in (body, query, raw)}
    assert len(embeddings) == 1
    assert isinstance(embeddings.pop(), str)


def test_fields_alone_come_as_json_or_urlencoded_or_in_the_query(client: Client) -> None:
    client.put("/clips/tone", files={"audio": TONE})
    client.put("/clips/noise", files={"audio": synth.encode(synth.noise(0))})

    answers = [
        client.post("/search", json={"clip_id": "tone", "k": 5}),
        client.post("/search", data={"clip_id": "tone", "k": "5"}),
        client.post("/search?clip_id=tone&k=5"),
    ]

    assert [answer.json()["hits"][0]["clip_id"] for answer in answers] == ["noise"] * 3


def test_a_large_upload_goes_through_a_temporary_file(client: Client) -> None:
    long = synth.encode(synth.noise(0, 60.0))
    assert len(long) > 1024 * 1024

    part = client.post("/embed", files={"audio": long})
    raw = client.post("/embed", content=long)

    assert part.json()["embeddings"][0]["duration_s"] == 60.0
    assert raw.json()["embeddings"][0]["embedding"] == part.json()["embeddings"][0]["embedding"]


def test_a_field_given_in_body_and_query_is_refused(client: Client) -> None:
    options = {"files": {"audio": TONE}, "data": {"k": "1"}, "params": {"k": "2"}}

    assert code(client, "/search", **options) == "request_invalid"


def test_an_unknown_file_part_is_refused_by_name(client: Client) -> None:
    answer = client.post("/embed", files={"sound": TONE})

    assert answer.json()["code"] == "request_invalid"
    assert "'sound'" in answer.json()["detail"]
    assert "audio" in answer.json()["detail"]


def test_a_file_sent_as_text_is_refused(client: Client) -> None:
    assert code(client, "/embed", files={"audio": (None, "tone.wav")}) == "request_invalid"


def test_only_some_endpoints_take_a_part_twice(client: Client) -> None:
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
        ("text/plain", b"hello", "media_unsupported"),
        ("multipart/form-data", b"", "request_invalid"),
        ("multipart/form-data; boundary=x", b"--y\r\nbroken", "request_invalid"),
        ("application/x-www-form-urlencoded", b"&".join([b"k=1"] * 100), "request_invalid"),
        ("audio/wav", b"", "file_empty"),
    ],
)
def test_malformed_bodies_are_refused(
    client: Client, content_type: str, content: bytes, expected: str
) -> None:
    headers = {"content-type": content_type}

    assert code(client, "/search", content=content, headers=headers) == expected


def test_where_audio_is_needed_json_is_refused_with_what_is_taken(client: Client) -> None:
    answer = client.post("/embed", json={})

    assert answer.status_code == 415
    assert "multipart/form-data" in answer.json()["detail"]


def test_where_two_files_are_needed_a_raw_body_is_refused(client: Client) -> None:
    assert code(client, "/difference", content=TONE) == "media_unsupported"
