"""The service with decoders in child processes: the same answers, and it outlives a decoder."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import decoder_corpus
import pytest
import synth
from service_client import Client, serving

from service.services import Services

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")

WAV = synth.encode(synth.chirp(200, 4000, 2.0))


@pytest.fixture(scope="module")
def by_process(
    tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    library = tmp_path_factory.mktemp("process")
    with serving(tiny_bundle_path, library, decode="process", cache_bytes=0) as client:
        yield client


@pytest.fixture(scope="module")
def by_thread(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    library = tmp_path_factory.mktemp("thread")
    with serving(tiny_bundle_path, library, decode="thread", cache_bytes=0) as client:
        yield client


def answer(client: Client, data: bytes) -> Any:
    """Embed a file; return the answer without what differs from request to request."""
    body = client.post("/embed", files={"audio": data}).json()
    body.pop("request_id", None)
    body.pop("timings", None)
    return body


def metric(client: Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
    return float(value)


@pytest.mark.parametrize("name", decoder_corpus.names()[::9])
def test_answers_are_those_of_threads(by_process: Client, by_thread: Client, name: str) -> None:
    data = decoder_corpus.make(name)
    assert answer(by_process, data) == answer(by_thread, data)
    assert answer(by_process, data[:300]) == answer(by_thread, data[:300])


def test_long_clips_and_pictures_are_those_of_threads(
    by_process: Client, by_thread: Client
) -> None:
    data = synth.encode(synth.noise(3, 40.0, sample_rate=22_050), sample_rate=22_050)
    assert answer(by_process, data) == answer(by_thread, data)
    for client in (by_process, by_thread):
        client.put("/clips/long", files={"audio": data})
    pictures = [client.get("/clips/long/peaks").json() for client in (by_process, by_thread)]
    assert pictures[0] == pictures[1]


def test_a_decoder_that_dies_refuses_its_file_and_is_counted(by_process: Client) -> None:
    services: Services = by_process.app.state.services
    answer(by_process, WAV)
    pool = services.decoding._pool
    assert pool is not None
    child = pool._idle[-1]
    os.kill(child._pid, signal.SIGSTOP)
    is_given, give = threading.Event(), child.give

    def give_and_tell(*options: Any) -> bool:
        was_given = give(*options)
        is_given.set()
        return was_given

    child.give = give_and_tell
    deaths = metric(by_process, "minuend_decoder_deaths_total")
    bodies: list[Any] = []
    request = threading.Thread(target=lambda: bodies.append(answer(by_process, WAV)))
    request.start()
    assert is_given.wait(20)
    os.kill(child._pid, signal.SIGKILL)
    request.join(20)

    (body,) = bodies
    assert (body["status"], body["code"]) == (400, "audio_undecodable")
    assert "SIGKILL" in body["detail"]
    assert metric(by_process, "minuend_decoder_deaths_total") == deaths + 1
    assert "embedding" in str(answer(by_process, WAV))


def test_closing_the_service_ends_its_decoders(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with serving(tiny_bundle_path, tmp_path, decode="process") as client:
        answer(client, WAV)
        pool = client.app.state.services.decoding._pool
        pids = [child._pid for child in pool._idle] + [pool._server._process.pid]
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
