"""Each kind of bad input has its own error code, and the service keeps running."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synth
from service_client import Client, serving

MAX_SECONDS = 5
GOOD = synth.encode(synth.tone(440))


@pytest.fixture(scope="module")
def client(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One service for the whole module, so that damage by one request would show in the next."""
    library = tmp_path_factory.mktemp("bad-input") / "library"
    limits = {"max_seconds": MAX_SECONDS, "max_samples": 100_000, "max_files": 3, "max_k": 50}
    with serving(tiny_bundle_path, library, max_body_bytes=1_000_000, **limits) as client:
        yield client


def wav(
    data: bytes, *, sample_rate: int = 16_000, channels: int = 1, float_samples: bool = False
) -> bytes:
    """Write a WAV header by hand around any samples, for what no encoder would write."""
    width = 4 if float_samples else 2
    frame = width * channels
    header = struct.pack(
        "<HHIIHH",
        *(3 if float_samples else 1, channels),
        *(sample_rate, (sample_rate * frame) % 2**32, frame % 2**16, 8 * width),
    )
    body = b"WAVEfmt " + struct.pack("<I", len(header)) + header
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def floats(value: float) -> bytes:
    samples = synth.tone(440)
    samples[100] = value
    return wav(samples.astype("<f4").tobytes(), float_samples=True)


@dataclass(frozen=True)
class Bad:
    """A bad request, and the code and status of its response."""

    code: str
    status: int
    path: str = "/search"
    method: str = "POST"
    options: dict[str, Any] = field(default_factory=dict)


def upload(code: str, status: int, content: bytes, filename: str = "clip.wav") -> Bad:
    return Bad(code, status, "/embed", options={"files": {"audio": (filename, content)}})


def query(code: str, status: int, path: str = "/search", **data: Any) -> Bad:
    return Bad(code, status, path, options={"files": {"audio": GOOD}, "data": data})


def truncated_flac() -> bytes:
    whole = synth.encode(synth.noise(0, 3.0), form="FLAC")
    return whole[: len(whole) // 2]


SMALL_BUT_LONG = synth.encode(synth.silence(60.0), form="FLAC")
PCM = synth.encode(synth.tone(440))[44:]

BAD = {
    "an empty file": upload("file_empty", 400, b""),
    "text named .wav": upload("audio_undecodable", 400, b"these are words, not waves\n" * 40),
    "a truncated flac": upload("audio_truncated", 400, truncated_flac(), "clip.flac"),
    "a header of 1 Hz": upload("sample_rate_unsupported", 422, wav(PCM, sample_rate=1)),
    "a header of 2 MHz": upload("sample_rate_unsupported", 422, wav(PCM, sample_rate=2_000_000)),
    "NaN samples": upload("audio_not_finite", 422, floats(np.nan)),
    "infinite samples": upload("audio_not_finite", 422, floats(np.inf)),
    "1,024 channels": upload("channels_unsupported", 422, wav(PCM[:20_480], channels=1024)),
    "a small flac of a long clip": upload("audio_too_long", 413, SMALL_BUT_LONG, "clip.flac"),
    "audio of zero length": upload("audio_empty", 422, wav(b"")),
    "k of zero": query("k_out_of_range", 422, k="0"),
    "k beyond the limit": query("k_out_of_range", 422, k="51"),
    "k that is no number": query("k_out_of_range", 422, k="many"),
    "an unknown id": Bad("clip_unknown", 404, options={"json": {"clip_id": "nobody"}}),
    "an unknown id in a path": Bad("clip_unknown", 404, "/clips/nobody", "GET"),
    "an id that cannot be": Bad("clip_id_invalid", 422, options={"json": {"clip_id": "a/b"}}),
    "a filter that is not JSON": query("filter_invalid", 422, filter="{kind"),
    "a filter that is a list": query("filter_invalid", 422, filter="[1]"),
    "metadata that is not flat": query("metadata_invalid", 422, "/clips", metadata='{"a":{}}'),
    "no audio part": Bad("part_missing", 422, "/embed"),
    "no reference part": Bad(
        "part_missing", 422, "/difference", options={"files": {"mixture": GOOD}}
    ),
    "nothing to search for": Bad("query_incomplete", 422),
    "only a reference": Bad("query_incomplete", 422, options={"files": {"reference": GOOD}}),
    "a modifier": query("modifier_unavailable", 422, modifier="louder rain"),
    "a body over the limit": upload("body_too_large", 413, bytes(1_000_001)),
    "too many files": Bad(
        "too_many_files", 413, "/embed", options={"files": [("audio", ("a.wav", GOOD))] * 4}
    ),
    "too many samples together": Bad(
        "samples_too_many",
        413,
        "/embed",
        options={
            "files": [("audio", ("a.wav", synth.encode(synth.noise(n, 4.0)))) for n in (1, 2)]
        },
    ),
    "a body of an unknown kind": Bad(
        "media_unsupported",
        415,
        "/embed",
        options={"content": b"<audio/>", "headers": {"content-type": "text/xml"}},
    ),
    "a JSON body that is not JSON": Bad(
        "request_invalid",
        422,
        options={"content": b"{", "headers": {"content-type": "application/json"}},
    ),
    "a misspelt field": query("request_invalid", 422, reference_wieght="0.5"),
    "an embedding of another size": Bad(
        "embedding_invalid", 422, options={"json": {"embedding": [1.0, 2.0]}}
    ),
    "a window without length": query("window_invalid", 422, "/embed", window_s="0"),
    "a window below a partial": query("window_invalid", 422, "/embed", window_s="0.01"),
    "a foreign cursor": Bad("cursor_invalid", 422, "/clips?cursor=xyz", "GET"),
    "a foreign fingerprint": Bad(
        "fingerprint_mismatch",
        409,
        "/clips/bulk",
        options={
            "content": b'{"id":"a","embedding":[1,2,3,4,5,6,7,8],"fingerprint":"00"}\n',
            "headers": {"content-type": "application/x-ndjson"},
        },
    ),
    "an unknown path": Bad("not_found", 404, "/nowhere", "GET"),
    "an unknown method": Bad("method_not_allowed", 405, "/search", "DELETE"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_each_bad_input_has_its_own_code_and_the_next_request_succeeds(
    client: Client, bad: Bad
) -> None:
    response = client.request(bad.method, bad.path, **bad.options)

    problem = response.json()
    assert (problem["code"], response.status_code) == (bad.code, bad.status), problem
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["status"] == bad.status
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["detail"]
    assert response.headers["minuend-bundle"] == "tiny-0"
    good = client.post("/embed", files={"audio": GOOD})
    assert good.status_code == 200
