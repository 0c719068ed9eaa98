"""Answers of a service whose library is damaged."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import synth
from service_client import Client
from tiny_library import execute

from service.catalog.damage import PARTS
from service.library.verify import open_verifier

TONES = {f"c{n}": synth.encode(synth.tone(200 + 50 * n)) for n in range(4)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def client(client: Client) -> Client:
    client.put_clips(TONES)
    return client


def assert_refused(client: Client, method: str, call: str, **options: object) -> str:
    response = client.request(method, call, **options)
    body = response.json()
    assert (response.status_code, body["code"]) == (500, "clip_damaged")
    assert "'c1'" in body["detail"], "the answer says which clip, and what to do"
    return str(body["detail"])


def listed(client: Client) -> set[str]:
    return {clip["clip_id"] for clip in client.get("/clips").json()["clips"]}


def found(client: Client) -> set[str]:
    hits = client.result("/search", json={"clip_id": "c0", "k": 10})["hits"]
    return {hit["clip_id"] for hit in hits}


def test_a_damaged_record_is_refused_and_the_rest_is_served(client: Client, path: Path) -> None:
    execute(path, "UPDATE clips SET media_type = 'text/html' WHERE id = 'c1'")
    for call in ("/clips/c1", "/clips/c1/audio"):
        assert "record of clip" in assert_refused(client, "GET", call)
    assert listed(client) == set(TONES) - {"c1"}
    assert found(client) == {"c2", "c3"}
    assert 'minuend_damaged_parts{part="record"} 1.0' in client.get("/metrics").text

    client.put_clips({"c1": TONES["c1"]})
    assert client.get("/clips/c1").json()["clip"]["media_type"] == "audio/wav"
    assert 'minuend_damaged_parts{part="record"} 0.0' in client.get("/metrics").text


def test_damaged_audio_is_refused_until_it_is_replaced(client: Client, path: Path) -> None:
    (file,) = (path / execute(path, "SELECT path FROM clips WHERE id = 'c1'")[0][0],)
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    assert_refused(client, "GET", "/clips/c1/audio")
    assert client.get("/clips/c1").status_code == 200
    assert found(client) == {"c1", "c2", "c3"}
    with closing(open_verifier(path)) as verifier:
        for _ in verifier.run():
            pass
    assert 'minuend_damaged_parts{part="audio"} 1.0' in client.get("/metrics").text

    client.put_clips({"c1": TONES["c1"]})
    assert client.get("/clips/c1/audio").content == TONES["c1"]
    assert 'minuend_damaged_parts{part="audio"} 0.0' in client.get("/metrics").text


def test_a_damaged_embedding_is_no_query_and_no_hit(client: Client, path: Path) -> None:
    execute(path, "UPDATE vectors SET embedding = x'00' WHERE seq = 2")
    detail = assert_refused(client, "POST", "/search", json={"clip_id": "c1"})
    assert "minuend index --reembed" in detail
    assert found(client) == {"c2", "c3"}
    assert listed(client) == set(TONES)


def test_a_catalogue_that_cannot_be_read_has_a_code_of_its_own(client: Client, path: Path) -> None:
    catalog = client.app.state.services.library.catalog
    catalog.database.close()  # so that nothing of the file is in a cache
    file = path / "catalog.sqlite"
    whole = file.read_bytes()
    for other in path.glob("catalog.sqlite-*"):
        other.unlink()
    file.write_bytes(b"no database" * 1000)
    for call in ("/clips", "/clips/c1"):
        response = client.get(call)
        assert (response.status_code, response.json()["code"]) == (500, "library_damaged")
        assert "minuend restore" in response.json()["detail"]
    file.write_bytes(whole)
    catalog.database.close()
    assert listed(client) == set(TONES)


def test_the_metrics_have_the_scrub(client: Client) -> None:
    text = client.get("/metrics").text
    assert "minuend_scrub_completed_timestamp_seconds 0.0" in text
    for part in PARTS:
        assert f'minuend_damaged_parts{{part="{part}"}} 0.0' in text
        assert f'minuend_scrub_checked_parts{{part="{part}"}} 0.0' in text
