"""Every number of a request and of the settings has bounds, and no number is an internal error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import synth
from service_client import Client, serving

from service.errors import SettingsError
from service.settings import Settings, load_settings

EXTREMES = (
    *("0", "-0.0", "-1", "5e-324", "1e-300", "1e15", "1e16", "1e300", "1.7976931348623157e308"),
    *("-1e308", "1e309", "inf", "-inf", "nan", "1" * 400, str(2**63), str(-(2**63) - 1)),
)
WAV = synth.encode(synth.tone(440, 1.5))
METHODS = ("get", "post", "put", "delete")


@pytest.fixture(scope="module")
def client(towers_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(towers_bundle_path, tmp_path_factory.mktemp("numbers") / "library") as client:
        client.put("/clips/tone", files={"audio": WAV})
        yield client


def numbers(schema: Any, document: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every schema of a number below a schema, with its place."""
    if isinstance(schema, list):
        for n, item in enumerate(schema):
            yield from numbers(item, document, f"{path}/{n}")
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from numbers(document["components"]["schemas"][name], document, f"{path}/{name}")
    if schema.get("type") in ("number", "integer"):
        yield path, schema
    for key, value in schema.items():
        yield from numbers(value, document, f"{path}/{key}")


def is_bounded(schema: dict[str, Any]) -> bool:
    return bool({"minimum", "exclusiveMinimum"} & set(schema)) and bool(
        {"maximum", "exclusiveMaximum"} & set(schema)
    )


def test_every_number_of_a_request_has_bounds_in_the_schema(client: Client) -> None:
    document = client.get("/openapi.json").json()
    found = []
    for path, methods in document["paths"].items():
        for method in METHODS:
            described = methods.get(method, {})
            request = [described.get("parameters", []), described.get("requestBody", {})]
            found += list(numbers(request, document, f"{method} {path}"))
    assert len(found) > 20
    assert [place for place, schema in found if not is_bounded(schema)] == []


def test_every_number_of_the_settings_has_bounds() -> None:
    document = Settings.model_json_schema()
    found = list(numbers(document["properties"], document))
    assert len(found) >= 20
    assert [place for place, schema in found if not is_bounded(schema)] == []


@pytest.mark.parametrize("value", EXTREMES)
def test_a_setting_is_a_number_within_its_bounds_or_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    properties = Settings.model_json_schema()["properties"]
    for name, schema in properties.items():
        if schema.get("type") not in ("number", "integer"):
            continue
        with monkeypatch.context() as patched:
            patched.setenv(f"MINUEND_{name.upper()}", value)
            try:
                number = getattr(load_settings(), name)
            except SettingsError:
                continue
            assert schema.get("minimum", schema.get("exclusiveMinimum")) <= number
            assert number <= schema.get("maximum", schema.get("exclusiveMaximum"))


REQUESTS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("POST", "/embed", "window_s", {"files": {"audio": WAV}}),
    ("POST", "/embed?window_s=1", "hop_s", {"files": {"audio": WAV}}),
    ("POST", "/difference?curve=true", "hop_s", {"files": {"mixture": WAV, "reference": WAV}}),
    ("POST", "/difference?mixture_id=tone&reference_id=tone", "k", {}),
    ("POST", "/difference?mixture_id=tone&reference_id=tone", "phrases", {}),
    ("POST", "/difference?mixture_id=tone&reference_id=tone", "reference_weight", {}),
    ("POST", "/search?clip_id=tone", "k", {}),
    ("POST", "/search?clip_id=tone&reference_id=tone", "reference_weight", {}),
    ("POST", "/search?clip_id=tone&modifier=rain", "modifier_strength", {}),
    ("GET", "/clips", "limit", {}),
    ("GET", "/clips/tone/peaks", "columns", {}),
    ("GET", "/clips/tone/spectrogram", "columns", {}),
)


@pytest.mark.parametrize("value", EXTREMES)
def test_no_number_is_an_internal_error(client: Client, value: str) -> None:
    for method, path, name, options in REQUESTS:
        joined = f"{path}{'&' if '?' in path else '?'}{name}={value}"
        response = client.request(method, joined, **options)
        assert response.status_code in (200, 422), (joined, response.text)
    for filter in (f'{{"n": {value}}}', f'{{"n": {{"gte": {value}}}}}', f'{{"n": [{value}]}}'):
        response = client.get("/clips", params={"filter": filter})
        assert response.status_code in (200, 422), (filter, response.text)
    response = client.get("/clips", headers={"minuend-deadline-s": value})
    assert response.status_code in (200, 422, 504), response.text


@pytest.mark.parametrize("value", EXTREMES)
def test_no_number_in_json_is_an_internal_error(client: Client, value: str) -> None:
    number = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(value, value)
    bodies = [f'{{"clip_id": "tone", "{name}": {number}}}' for name in ("k", "reference_weight")]
    bodies.append(json.dumps({"embedding": [0.0] * 8})[:-2] + f", {number}]}}")
    bodies.append(f'{{"embedding": [{", ".join([number] * 8)}]}}')
    for body in bodies:
        response = client.post(
            "/search", content=body, headers={"content-type": "application/json"}
        )
        assert response.status_code in (200, 422), (body, response.text)
