from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import synth
from service_client import Client, serving

from service.app import create_app
from service.errors import SettingsError
from service.settings import Settings

TONE = synth.encode(synth.tone(440))
NOISE = synth.encode(synth.noise(0))


def test_two_applications_share_nothing(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with (
        serving(tiny_bundle_path, tmp_path / "one") as one,
        serving(tiny_bundle_path, tmp_path / "other") as other,
    ):
        one.put("/clips/a", files={"audio": TONE})

        assert other.get("/clips").json()["clips"] == []
        assert "PUT" not in other.get("/metrics").text


def test_traces_without_their_packages_are_refused_and_the_extra_is_named(
    tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        sys.modules, "service.observability.tracing", None
    )  # as if it could not be imported

    with pytest.raises(SettingsError, match=r"extra `otel`.*pip install 'minuend\[otel\]'"):
        create_app(Settings(bundle=tiny_bundle_path, library=tmp_path, traces=True))
    create_app(Settings(bundle=tiny_bundle_path, library=tmp_path, traces=False))


def test_a_full_service_refuses_audio_but_handles_other_requests(
    tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> None:
        entered.set()
        release.wait()

    with (
        serving(tiny_bundle_path, tmp_path, max_requests=1) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        monkeypatch.setattr(client.app.state.services.embedder, "embed", slow)
        running = threads.submit(client.post, "/embed", files={"audio": TONE})
        assert entered.wait(10)
        refused = client.post("/embed", files={"audio": TONE})
        listed = client.get("/clips")
        ready = client.get("/readyz")
        release.set()
        running.result()

    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert (listed.status_code, ready.status_code) == (200, 200)


def test_many_requests_at_once_give_the_same_as_one(client: Client) -> None:
    expected = client.post("/embed", content=TONE).json()["embeddings"]

    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(lambda _: client.post("/embed", content=TONE), range(16)))

    assert all(response.json()["embeddings"] == expected for response in responses)


@contextmanager
def busy_encoder(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a first request, and all runs of the encoder, wait until this is left."""
    encoder = client.app.state.services.models.encoder
    entered, release, run = threading.Event(), threading.Event(), encoder.run

    def wait_and_run(*args: Any, **options: Any) -> Any:
        entered.set()
        assert release.wait(30)
        return run(*args, **options)

    monkeypatch.setattr(encoder, "run", wait_and_run)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(client.post, "/embed", content=TONE)
        assert entered.wait(30)
        try:
            yield
        finally:
            release.set()
        assert first.result(30).status_code == 200


def test_a_request_past_its_deadline_is_a_504_and_not_encoded(
    tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tiny_bundle_path, tmp_path, runs=1) as client:
        with busy_encoder(client, monkeypatch):
            late = client.post("/embed", content=NOISE, headers={"minuend-deadline-s": "0.5"})
        after = client.post("/embed", content=TONE, headers={"minuend-deadline-s": "30"})
        metrics = client.get("/metrics").text

    assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
    assert late.headers["retry-after"] == "1"
    assert "queue;dur=" in late.headers["server-timing"]
    assert after.status_code == 200
    assert "minuend_run_clips_sum 1.0" in metrics


def test_the_clip_of_a_disconnected_client_is_not_encoded(
    tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tiny_bundle_path, tmp_path, runs=1) as client:
        with busy_encoder(client, monkeypatch):
            client.disconnect("/embed", NOISE)
        text = wait_for(client, 'status="499"} 1.0')

    assert "minuend_run_clips_sum 1.0" in text


def wait_for(client: Client, line: str) -> str:
    """Return the metrics once they have a line."""
    while line not in (text := client.get("/metrics").text):
        pass
    return text


def test_identical_bytes_are_encoded_once_with_equal_responses(client: Client) -> None:
    responses = [client.post("/embed", content=NOISE) for _ in range(3)]
    text = client.get("/metrics").text

    assert len({response.content for response in responses}) == 1
    assert "minuend_run_clips_sum 1.0" in text
    assert 'minuend_cache_lookups_total{outcome="hit"} 2.0' in text
    assert "minuend_audio_seconds_total 1.0" in text
