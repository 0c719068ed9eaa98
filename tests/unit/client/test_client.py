from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from minuend_client import (
    AsyncClient,
    Client,
    ProblemError,
    Retry,
    UnreachableError,
    VectorClip,
)

WITHOUT_WAIT = Retry(attempts=4, first_wait_s=0.0)
CLIP = {
    "clip": {
        "clip_id": "a",
        "source": "stored",
        "metadata": {},
        "created_at": "",
        "updated_at": "",
    }
}
Handler = Callable[[httpx.Request], httpx.Response]


def problem(status: int, code: str) -> httpx.Response:
    body = {"title": "No", "detail": "not today", "code": code, "request_id": "r1"}
    return httpx.Response(status, json=body)


def client(handler: Handler, **options: object) -> Client:
    return Client(
        "http://service",
        retry=WITHOUT_WAIT,
        transport=httpx.MockTransport(handler),
        **options,  # type: ignore[arg-type]  # only an api_key here
    )


class Scripted:
    """Handler that returns the given responses in order, or raises them if they are exceptions."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_request_to_a_busy_service_is_repeated_with_the_same_body(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"audio bytes")
    script = Scripted(
        problem(503, "overloaded"),
        httpx.ConnectError("refused"),
        httpx.Response(201, json=CLIP),
    )
    with client(script) as minuend:
        assert minuend.add_clip(path).clip_id == "a"
    assert len(script.requests) == 3
    assert all(b"audio bytes" in request.content for request in script.requests)


def test_a_refusal_is_raised_without_retry_with_its_code() -> None:
    script = Scripted(problem(404, "clip_unknown"))
    with client(script) as minuend, pytest.raises(ProblemError, match="not today") as caught:
        minuend.get_clip("a")
    assert (caught.value.status, caught.value.code) == (404, "clip_unknown")
    assert caught.value.request_id == "r1"


def test_the_last_refusal_of_a_busy_service_is_raised() -> None:
    script = Scripted(*[problem(503, "overloaded") for _ in range(4)])
    with client(script) as minuend, pytest.raises(ProblemError) as caught:
        minuend.info()
    assert caught.value.code == "overloaded"
    assert not script.answers


def test_a_missing_answer_is_an_unreachable_error() -> None:
    script = Scripted(*[httpx.ConnectError("refused") for _ in range(4)])
    with client(script) as minuend, pytest.raises(UnreachableError, match="refused"):
        minuend.info()


def test_the_page_of_a_proxy_is_a_problem_error() -> None:
    script = Scripted(httpx.Response(403, text="<html>Forbidden</html>"))
    with client(script) as minuend, pytest.raises(ProblemError, match="Forbidden") as caught:
        minuend.info()
    assert caught.value.code == "unknown"


def test_every_request_has_the_key() -> None:
    script = Scripted(httpx.Response(200, json={}), httpx.Response(204))
    with client(script, api_key="secret") as minuend:
        minuend.info()
        minuend.delete_clip("a")
    assert [r.headers["authorization"] for r in script.requests] == ["Bearer secret"] * 2


def listing(request: httpx.Request) -> httpx.Response:
    names = "abc"
    i = int(request.url.params.get("cursor", "0"))
    body = {"clips": [{**CLIP["clip"], "clip_id": names[i]}]}
    return httpx.Response(200, json=body | {"next_cursor": str(i + 1) if i < 2 else None})


def test_clips_iterates_over_all_pages() -> None:
    with client(listing) as minuend:
        assert [clip.clip_id for clip in minuend.clips()] == ["a", "b", "c"]


def test_one_refused_file_of_many_does_not_stop_the_others(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("good.wav", "bad.wav", "missing.wav", "last.wav")]
    for path in paths:
        if path.name != "missing.wav":
            path.write_bytes(path.name.encode())

    def answer(request: httpx.Request) -> httpx.Response:
        bad = b"bad.wav" in request.read()
        return problem(400, "audio_undecodable") if bad else httpx.Response(201, json=CLIP)

    with client(answer) as minuend:
        good, bad, missing, last = minuend.add_files(paths)
    assert good.clip is not None
    assert last.clip is not None
    assert isinstance(bad.error, ProblemError)
    assert isinstance(missing.error, FileNotFoundError)


def bulk(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/info":
        return httpx.Response(200, json={"bundle": {"fingerprint": "f0"}})
    lines = [json.loads(line) for line in request.read().splitlines()]
    assert {line["fingerprint"] for line in lines} == {"f0"}
    return httpx.Response(200, json={"created": len(lines) - 1, "updated": 1})


def test_vectors_are_streamed_with_progress() -> None:
    done: list[int] = []
    clips = (VectorClip(str(i), [0.0]) for i in range(2500))
    with client(bulk) as minuend:
        result = minuend.add_vectors(clips, on_progress=done.append)
    assert done == [1000, 2000, 2500]
    assert (result.created, result.updated) == (2497, 3)


def test_the_asynchronous_client_makes_the_same_calls() -> None:
    script = Scripted(problem(503, "overloaded"), httpx.Response(201, json=CLIP))
    done: list[int] = []

    async def use() -> None:
        transport = httpx.MockTransport(script)
        async with AsyncClient(
            "http://service", retry=WITHOUT_WAIT, transport=transport
        ) as minuend:
            assert (await minuend.add_clip(b"bytes", clip_id="a")).clip_id == "a"
        async with AsyncClient("http://service", transport=httpx.MockTransport(listing)) as minuend:
            assert [clip.clip_id async for clip in minuend.clips()] == ["a", "b", "c"]
        async with AsyncClient("http://service", transport=httpx.MockTransport(bulk)) as minuend:
            clips = [VectorClip(str(i), [0.0]) for i in range(1500)]
            result = await minuend.add_vectors(clips, on_progress=done.append)
            assert result.created + result.updated == 1500

    asyncio.run(use())
    assert [r.method for r in script.requests] == ["PUT", "PUT"]
    assert done == [1000, 1500]


def test_both_clients_have_the_same_methods() -> None:
    public = {name for name in vars(Client) if not name.startswith("_")}
    awaited = {name for name in vars(AsyncClient) if not name.startswith("_")}
    assert public - awaited == {"add_files"}
