"""Any request gets a response or a client error, and never an internal error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import hypothesis.strategies as st
import pytest
import synth
from hypothesis import given, settings
from service_client import Client, serving

from service.api.request_models import DifferenceForm, EmbedForm, SearchForm

PATHS = ("/embed", "/difference", "/search", "/clips", "/clips/bulk")
CONTENT_TYPES = (
    "",
    "application/json",
    "application/octet-stream",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "audio/wav",
    "multipart/form-data",
    "multipart/form-data; boundary=b",
)
WAV = synth.encode(synth.tone(440, 0.1))
FIELDS = sorted({*SearchForm.model_fields, *DifferenceForm.model_fields, "nonsense"})
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


@pytest.fixture(scope="module")
def client(towers_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(towers_bundle_path, tmp_path_factory.mktemp("property") / "library") as client:
        client.put("/clips/tone", files={"audio": WAV})
        yield client


def check(response: Any) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["code"] != "internal"


@given(path=st.sampled_from(PATHS), kind=st.sampled_from(CONTENT_TYPES), body=st.binary())
@settings(max_examples=150)
def test_any_bytes_give_no_internal_error(
    client: Client, path: str, kind: str, body: bytes
) -> None:
    check(client.post(path, content=body, headers={"content-type": kind}))


@given(
    path=st.sampled_from(["/search", "/difference"]),
    fields=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4),
)
@settings(max_examples=150)
def test_any_json_fields_give_no_internal_error(
    client: Client, path: str, fields: dict[str, Any]
) -> None:
    body = json.dumps(fields)  # NaN and large integers included, which JSON has not
    check(client.post(path, content=body, headers={"content-type": "application/json"}))


@given(
    path=st.sampled_from(["/search", "/embed", "/clips"]),
    fields=st.dictionaries(
        st.sampled_from([*FIELDS, *EmbedForm.model_fields, "metadata"]),
        st.text(max_size=20) | VALUES.map(repr),
        max_size=3,
    ),
)
@settings(max_examples=150)
def test_any_text_fields_beside_a_file_give_no_internal_error(
    client: Client, path: str, fields: dict[str, str]
) -> None:
    check(client.post(path, files={"audio": WAV}, data=fields))


@given(
    text=st.text(st.characters(exclude_categories=[]), max_size=200),
    strength=st.floats(allow_nan=True) | st.text(max_size=5),
    is_alone=st.booleans(),
)
@settings(max_examples=150)
def test_any_modifier_gives_no_internal_error(
    client: Client, text: str, strength: float | str, is_alone: bool
) -> None:
    sound = {} if is_alone else {"clip_id": "tone"}
    body = json.dumps({**sound, "modifier": text, "modifier_strength": strength})
    check(client.post("/search", content=body, headers={"content-type": "application/json"}))


@given(clip_id=st.text(min_size=1, max_size=20), method=st.sampled_from(["GET", "PUT", "DELETE"]))
@settings(max_examples=100)
def test_any_clip_id_gives_no_internal_error(client: Client, clip_id: str, method: str) -> None:
    options: dict[str, Any] = {"content": WAV} if method == "PUT" else {}
    check(client.request(method, f"/clips/{quote(clip_id, safe='')}", **options))
