from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import pytest
import synth
from service_client import Client, serving

from service.app import create_app
from service.errors import BundleError
from service.settings import Settings

TONE = synth.encode(synth.tone(440))


def test_two_applications_share_nothing(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with (
        serving(tiny_bundle_path, tmp_path / "one") as one,
        serving(tiny_bundle_path, tmp_path / "other") as other,
    ):
        one.put("/clips/a", files={"audio": TONE})

        assert other.get("/clips").json()["clips"] == []
        assert "PUT" not in other.get("/metrics").text


def test_a_library_outlives_the_application(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with serving(tiny_bundle_path, tmp_path) as client:
        client.put("/clips/a", files={"audio": TONE})
        before = client.post("/search", files={"audio": TONE}).json()

    with serving(tiny_bundle_path, tmp_path) as client:
        assert client.post("/search", files={"audio": TONE}).json() == before


def test_what_keeps_it_from_starting_comes_out_of_the_lifespan(tmp_path: Path) -> None:
    app = create_app(Settings(bundle=tmp_path / "nowhere", library=tmp_path / "library"))

    async def start() -> None:
        async with app.router.lifespan_context(app):
            pytest.fail("started")

    with pytest.raises(BundleError, match="nowhere"):
        anyio.run(start)


def test_a_full_service_refuses_audio_but_answers_the_rest(
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
        monkeypatch.setattr(client.app.state.core.listener, "embed_files", slow)
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


def test_an_unexpected_error_is_a_problem_and_the_next_request_is_served(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> int:
        raise OSError("no space on /srv/secret")

    with monkeypatch.context() as patch:
        patch.setattr(client.app.state.core.library, "count", broken)
        answer = client.get("/info")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert "secret" in caplog.text
    assert client.get("/info").status_code == 200


def test_many_requests_at_once_give_what_one_gives(client: Client) -> None:
    expected = client.post("/embed", content=TONE).json()["embeddings"]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.post("/embed", content=TONE), range(16)))

    assert all(answer.json()["embeddings"] == expected for answer in answers)
