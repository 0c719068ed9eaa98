from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import synth
from service_client import Client, serving

from service.api.keys import make_key, write_keys

TONE = synth.encode(synth.tone(440))
READ, READER = make_key("reader", "read")
WRITE, WRITER = make_key("writer", "write")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.txt"
    write_keys(path, [READER, WRITER])
    return path


@pytest.fixture
def client(tiny_bundle_path: Path, tmp_path: Path, keys: Path) -> Iterator[Client]:
    with serving(tiny_bundle_path, tmp_path / "library", keys=keys) as client:
        yield client


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/page/main.js"])
def test_probes_and_the_page_need_no_key(client: Client, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/clips", "/info", "/metrics", "/openapi.json", "/nowhere"])
@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Basic abc"}, {"authorization": "Bearer"}, bearer("wrong")]
)
def test_all_other_paths_need_a_valid_key(
    client: Client, path: str, headers: dict[str, str]
) -> None:
    response = client.get(path, headers=headers)
    assert code(response) == (401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["x-request-id"]


def test_a_key_to_read_can_search_and_play_but_change_nothing(client: Client) -> None:
    put = client.put("/clips/a", files={"audio": TONE}, headers=bearer(WRITE))
    assert put.status_code == 201
    reading = [
        client.post("/search", files={"audio": TONE}, headers=bearer(READ)),
        client.post("/embed", files={"audio": TONE}, headers=bearer(READ)),
        client.get("/clips/a/audio", headers=bearer(READ)),
    ]
    assert [response.status_code for response in reading] == [200, 200, 200]
    changing = [
        client.put("/clips/b", files={"audio": TONE}, headers=bearer(READ)),
        client.post("/clips", files={"audio": TONE}, headers=bearer(READ)),
        client.post("/clips/bulk", content=b"{}", headers=bearer(READ)),
        client.delete("/clips/a", headers=bearer(READ)),
    ]
    assert {code(response) for response in changing} == {(403, "forbidden")}
    assert len(client.get("/clips", headers=bearer(READ)).json()["clips"]) == 1
    assert client.delete("/clips/a", headers=bearer(WRITE)).status_code == 204


@pytest.fixture
def checked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the file at every request, not once a second."""
    monkeypatch.setattr("service.api.keys.CHECK_S", 0.0)


@pytest.mark.usefixtures("checked_each_time")
def test_a_removed_key_is_no_longer_valid(client: Client, keys: Path) -> None:
    assert client.get("/clips", headers=bearer(READ)).status_code == 200
    write_keys(keys, [WRITER])
    assert code(client.get("/clips", headers=bearer(READ))) == (401, "unauthorized")
    assert client.get("/clips", headers=bearer(WRITE)).status_code == 200


@pytest.mark.usefixtures("checked_each_time")
def test_the_event_loop_does_not_wait_for_the_file_of_keys(
    client: Client, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    stat = Path.stat

    def watched(path: Path, **options: Any) -> os.stat_result:
        if path == keys:
            threads.append(threading.get_ident())
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", watched)
    for _ in range(3):
        assert client.get("/clips", headers=bearer(READ)).status_code == 200

    assert threads
    assert client.call(threading.get_ident) not in threads


def test_only_named_sites_are_allowed(tiny_bundle_path: Path, tmp_path: Path, keys: Path) -> None:
    origin = {"origin": "https://studio.example"}
    preflight = {**origin, "access-control-request-method": "POST"}
    with serving(tiny_bundle_path, tmp_path / "closed") as client:
        answered = client.get("/clips", headers=origin)
        assert "access-control-allow-origin" not in answered.headers
    settings = {"cors_origins": "https://studio.example, https://other.example", "keys": keys}
    with serving(tiny_bundle_path, tmp_path / "open", **settings) as client:
        before = client.request("OPTIONS", "/search", headers=preflight)
        assert before.status_code == 200
        assert before.headers["access-control-allow-origin"] == origin["origin"]
        refused = client.get("/clips", headers=origin)
        assert code(refused) == (401, "unauthorized")
        assert refused.headers["access-control-allow-origin"] == origin["origin"]
        stranger = client.get("/healthz", headers={"origin": "https://other.invalid"})
        assert "access-control-allow-origin" not in stranger.headers
