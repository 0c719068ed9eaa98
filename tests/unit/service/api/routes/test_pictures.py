from __future__ import annotations

import base64

import pytest
import synth
from service_client import Client

from service.errors import OverloadError

TONE = synth.encode(synth.tone(440, 1.5))


@pytest.fixture
def client(client: Client) -> Client:
    """The service with one clip."""
    client.put("/clips/tone", files={"audio": TONE})
    return client


def test_the_outline_of_a_clip_lies_between_its_extremes(client: Client) -> None:
    peaks = client.get("/clips/tone/peaks", params={"columns": "50"}).json()

    assert peaks["duration_s"] == 1.5
    assert len(peaks["minima"]) == len(peaks["maxima"]) == 50
    assert min(peaks["minima"]) == pytest.approx(-0.5, abs=1e-3)
    assert max(peaks["maxima"]) == pytest.approx(0.5, abs=1e-3)


def test_a_file_is_drawn_as_its_stored_clip_is(client: Client) -> None:
    stored = client.get("/clips/tone/spectrogram?columns=60")
    drawn = client.post("/pictures", files={"audio": TONE}, data={"columns": "60"})

    assert stored.headers["content-type"] == "image/png"
    assert base64.b64decode(drawn.json()["spectrogram"]) == stored.content
    peaks = client.get("/clips/tone/peaks?columns=60").json()
    assert drawn.json()["maxima"] == peaks["maxima"]


def test_a_drawn_file_is_not_stored(client: Client) -> None:
    client.post("/pictures", content=synth.encode(synth.noise(0)))

    assert len(client.get("/clips").json()["clips"]) == 1


@pytest.mark.parametrize("kind", ["peaks", "spectrogram"])
def test_a_cached_response_is_not_sent_again(client: Client, kind: str) -> None:
    path = f"/clips/tone/{kind}?columns=60"
    tag = client.get(path).headers["etag"]

    again = client.get(path, headers={"if-none-match": tag})

    assert (again.status_code, again.content) == (304, b"")
    assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200
    client.put("/clips/tone", files={"audio": synth.encode(synth.noise(0))})
    assert client.get(path, headers={"if-none-match": tag}).status_code == 200


@pytest.mark.parametrize("kind", ["peaks", "spectrogram"])
def test_clips_that_cannot_be_drawn_have_their_own_codes(client: Client, kind: str) -> None:
    client.put_vector("vector")

    codes = [client.get(f"/clips/{name}/{kind}").json()["code"] for name in ("nobody", "vector")]

    assert codes == ["clip_unknown", "clip_audio_missing"]


@pytest.mark.parametrize("query", ["columns=15", "columns=2049", "columns=wide", "width=100"])
def test_a_width_out_of_range_is_refused(client: Client, query: str) -> None:
    for path in ("/clips/tone/peaks", "/clips/tone/spectrogram"):
        assert client.get(f"{path}?{query}").json()["code"] == "request_invalid"
    assert client.post(f"/pictures?{query}", content=TONE).json()["code"] == "request_invalid"


def test_a_file_that_is_not_audio_has_no_picture(client: Client) -> None:
    assert client.post("/pictures", content=b"no audio").json()["code"] == "audio_undecodable"
    assert client.post("/pictures", files={}).json()["code"] == "part_missing"


def test_a_refused_picture_counts_as_an_overload_refusal(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise OverloadError("too many pictures are waiting")

    monkeypatch.setattr(client.app.state.services.threads.pictures, "run", refuse)

    refused = client.get("/clips/tone/peaks")

    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert "minuend_overload_refusals_total 1.0" in client.get("/metrics").text
