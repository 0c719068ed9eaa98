from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import synth
from service_client import Client

TONE = synth.encode(synth.tone(440))
FLAC = synth.encode(synth.noise(0), form="FLAC")


def put(client: Client, clip_id: str, content: bytes = TONE, **metadata: Any) -> dict[str, Any]:
    response = client.put(
        f"/clips/{clip_id}", files={"audio": content}, data={"metadata": json.dumps(metadata)}
    )
    assert response.status_code in (200, 201), response.text
    clip: dict[str, Any] = response.json()["clip"]
    return clip


def test_a_posted_clip_is_named_by_its_content_and_can_be_read(client: Client) -> None:
    content = synth.encode(synth.tone(440, 0.5, sample_rate=44_100), sample_rate=44_100, form="OGG")

    posted = client.post("/clips", files={"audio": content}, data={"metadata": '{"kind": "tone"}'})

    clip = posted.json()["clip"]
    assert posted.status_code == 201
    assert posted.headers["location"] == f"/clips/{clip['clip_id']}"
    assert clip["clip_id"] == hashlib.sha256(content).hexdigest()[:32]
    assert clip["metadata"] == {"kind": "tone"}
    assert (clip["media_type"], clip["sample_rate_hz"], clip["channels"]) == (
        "audio/ogg",
        44_100,
        1,
    )
    assert (clip["duration_s"], clip["size_bytes"]) == (pytest.approx(0.5), len(content))
    assert client.get(posted.headers["location"]).json()["clip"] == clip


def test_a_file_that_is_not_audio_is_not_stored(client: Client) -> None:
    refused = client.post("/clips", files={"audio": b"words, not waves" * 10})

    assert refused.json()["code"] == "audio_undecodable"
    assert client.get("/clips").json()["clips"] == []


def test_posting_the_same_file_again_replaces_its_metadata(client: Client) -> None:
    client.post("/clips", files={"audio": TONE}, data={"metadata": '{"a": 1, "b": 2}'})

    again = client.post("/clips", files={"audio": TONE}, data={"metadata": '{"a": 3}'})

    assert again.status_code == 200
    assert again.json()["clip"]["metadata"] == {"a": 3}
    assert len(client.get("/clips").json()["clips"]) == 1


def test_a_raw_body_is_stored_with_metadata_from_the_query(client: Client) -> None:
    response = client.post("/clips", content=FLAC, params={"metadata": '{"kind": "noise"}'})

    assert response.json()["clip"]["metadata"] == {"kind": "noise"}
    assert response.json()["clip"]["media_type"] == "audio/flac"


def test_putting_replaces_audio_and_is_found_by_the_new_sound_only(client: Client) -> None:
    put(client, "a")
    replaced = put(client, "a", FLAC)

    (hit,) = client.post("/search", files={"audio": FLAC}).json()["hits"]
    assert hit["score"] == pytest.approx(1.0, abs=1e-3)
    assert replaced["media_type"] == "audio/flac"
    assert client.get("/clips/a/audio").content == FLAC


def test_pages_list_each_clip_once(client: Client) -> None:
    names = [f"clip-{n}" for n in range(5)]
    for name in names:
        put(client, name)

    listed: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = client.get("/clips", params=params).json()
        listed += [clip["clip_id"] for clip in page["clips"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert listed == names


def test_a_listing_can_be_filtered(client: Client) -> None:
    put(client, "a", kind="rain")
    put(client, "b", kind="wind")

    page = client.get("/clips", params={"filter": '{"kind": "wind"}'}).json()

    assert [clip["clip_id"] for clip in page["clips"]] == ["b"]


def test_a_misspelt_parameter_of_the_listing_is_refused(client: Client) -> None:
    assert client.get("/clips?limt=2").json()["code"] == "request_invalid"


def test_the_original_file_is_sent_whole_and_in_ranges(client: Client) -> None:
    put(client, "a", FLAC)

    whole = client.get("/clips/a/audio")
    part = client.get("/clips/a/audio", headers={"range": "bytes=4-7"})

    assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/flac")
    assert whole.content == FLAC
    assert (part.status_code, part.content) == (206, FLAC[4:8])
    assert part.headers["content-range"] == f"bytes 4-7/{len(FLAC)}"


def test_a_range_beyond_the_end_is_not_satisfiable(client: Client) -> None:
    put(client, "a", FLAC)

    refused = client.get("/clips/a/audio", headers={"range": "bytes=9999999-"})

    assert (refused.status_code, refused.json()["code"]) == (416, "range_invalid")
    assert refused.headers["content-range"] == f"bytes */{len(FLAC)}"


@pytest.mark.parametrize("given", ["seconds=1-2", "bytes=ten-", "bytes=7-4", "bytes=0-1, 4-x"])
def test_a_range_that_is_malformed_or_of_another_unit_is_ignored(
    client: Client, given: str
) -> None:
    put(client, "a", FLAC)

    whole = client.get("/clips/a/audio", headers={"range": given})

    assert (whole.status_code, whole.content) == (200, FLAC)
    assert "content-range" not in whole.headers


def test_audio_is_sent_again_only_if_it_has_changed(client: Client) -> None:
    put(client, "a")
    tag = client.get("/clips/a/audio").headers["etag"]
    assert tag == f'"{hashlib.sha256(TONE).hexdigest()}"'

    same = client.get("/clips/a/audio", headers={"if-none-match": tag, "range": "bytes=0-1"})
    put(client, "a", FLAC)
    changed = client.get("/clips/a/audio", headers={"if-none-match": tag})
    resumed = client.get("/clips/a/audio", headers={"if-range": tag, "range": "bytes=4-"})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert (changed.status_code, changed.content) == (200, FLAC)
    assert (resumed.status_code, resumed.content) == (200, FLAC)


def test_the_headers_of_audio_are_those_of_the_whole_file(client: Client) -> None:
    put(client, "a")

    headers = client.request("HEAD", "/clips/a/audio", headers={"range": "bytes=0-1"})

    assert (headers.status_code, headers.content) == (200, b"")
    assert headers.headers["content-length"] == str(len(TONE))
    whole = client.get("/clips/a/audio").headers
    for name in ("etag", "content-type", "accept-ranges"):
        assert headers.headers[name] == whole[name]


def test_a_deleted_clip_is_gone_from_everywhere(client: Client) -> None:
    put(client, "a")
    put(client, "b", FLAC)

    assert client.delete("/clips/a").status_code == 204

    for path in ("/clips/a", "/clips/a/audio"):
        assert client.get(path).json()["code"] == "clip_unknown"
    assert client.delete("/clips/a").json()["code"] == "clip_unknown"
    hits = client.post("/search", files={"audio": TONE}).json()["hits"]
    assert [hit["clip_id"] for hit in hits] == ["b"]
