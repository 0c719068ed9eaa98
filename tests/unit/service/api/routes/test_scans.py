"""Reads whose time grows with the library stop at their deadline and hold up nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import synth
from service_client import Client, serving

from service.concurrency.deadline import ClientDisconnectedError

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
N_SCANS = 64
WAIT_S = 20
PATIENCE = {"minuend-deadline-s": "5"}
FILTER = {"filter": '{"kind": "rain"}'}


@pytest.fixture
def client(tiny_bundle_path: Path, tmp_path: Path) -> Iterator[Client]:
    with serving(tiny_bundle_path, tmp_path / "library", max_requests=N_SCANS) as client:
        client.put_clips({name: synth.encode(synth.tone(440)) for name in ("a", "b")})
        yield client


def read_endlessly(client: Client, monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Let listings with a filter never end, and return the errors that stop them."""
    library, stopped = client.app.state.services.library, []
    page = library.page

    def endless(cursor: str | None, limit: int, filter: Any) -> Any:
        if filter is None:
            return page(cursor, limit, filter)
        try:
            return library.catalog.database.query(ENDLESS)
        except BaseException as error:
            stopped.append(error)
            raise

    monkeypatch.setattr(library, "page", endless)
    return stopped


def test_a_listing_stops_at_its_deadline(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    read_endlessly(client, monkeypatch)
    answer = client.get("/clips", params=FILTER, headers={"minuend-deadline-s": "0.05"})
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")


def test_a_listing_stops_when_its_client_leaves(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = read_endlessly(client, monkeypatch)
    begun = threading.Event()
    query = client.app.state.services.library.catalog.database.query

    def note(sql: str) -> Any:
        begun.set()
        return query(sql)

    monkeypatch.setattr(client.app.state.services.library.catalog.database, "query", note)
    client.leave("/clips", b"filter=%7B%22kind%22%3A%22rain%22%7D", after=begun)
    assert [type(error) for error in stopped] == [ClientDisconnectedError]


def test_many_listings_with_filters_hold_up_nothing_else(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, library = threading.Event(), client.app.state.services.library
    page = library.page

    def wait(cursor: str | None, limit: int, filter: Any) -> Any:
        if filter is not None:
            release.wait(WAIT_S)
        return page(cursor, limit, filter)

    monkeypatch.setattr(library, "page", wait)
    with ThreadPoolExecutor(N_SCANS) as pool:
        scans = [pool.submit(client.get, "/clips", params=FILTER) for _ in range(N_SCANS)]
        try:
            time.sleep(0.2)  # until the threads of a pool are taken
            for path in ("/healthz", "/readyz", "/metrics", "/clips", "/clips/a", "/clips/a/audio"):
                assert client.get(path, headers=PATIENCE).status_code == 200, path
            assert client.delete("/clips/a", headers=PATIENCE).status_code == 204
            assert not any(scan.done() for scan in scans)
        finally:
            release.set()
        assert {scan.result().status_code for scan in scans} == {200}


def test_listings_beyond_those_that_may_wait_are_refused(
    tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tiny_bundle_path, tmp_path / "other", max_requests=1) as client:
        read_endlessly(client, monkeypatch)
        patience = {"minuend-deadline-s": "0.5"}
        with ThreadPoolExecutor(20) as pool:
            scans = [
                pool.submit(client.get, "/clips", params=FILTER, headers=patience)
                for _ in range(20)
            ]
            codes = [scan.result().json()["code"] for scan in scans]
    assert set(codes) == {"deadline_exceeded", "overloaded"}
