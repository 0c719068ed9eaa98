"""The OpenAPI schema describes the service: every error, body and response."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import synth
from service_client import Client, serving
from starlette.types import Scope

from service import errors
from service.api import response_models as models
from service.api.keys import Scope as KeyScope
from service.api.keys import make_key, write_keys
from service.api.openapi import error_classes
from service.api.problems import Problem, problem_response
from service.clips import check_id

ERRORS = error_classes()
# No endpoint gives these: they are about paths and methods that are not in the schema.
OUTSIDE = {errors.NotFoundError, errors.MethodNotAllowedError}
SCOPES: tuple[KeyScope, ...] = ("read", "write")
TONE = synth.encode(synth.tone(440))
NOISE = synth.encode(synth.noise(0))


@pytest.fixture(scope="module")
def client(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tiny_bundle_path, tmp_path_factory.mktemp("contract") / "library") as client:
        client.put_clips({"tone": TONE, "noise": NOISE})
        client.put_clips({"long": synth.encode(synth.noise(0, 16.0))})
        yield client


@pytest.fixture(scope="module")
def schema(client: Client) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/openapi.json").json()
    return document


def operations(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }


def documented(operation: dict[str, Any]) -> set[tuple[int, str]]:
    """Return the (status, code) pairs that an operation says it may give."""
    return {
        (int(status), code)
        for status, response in operation["responses"].items()
        for content in [response.get("content", {}).get("application/problem+json")]
        if content
        for code in content["schema"]["allOf"][1]["properties"]["code"]["enum"]
    }


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.code)
def test_the_problem_of_every_error_follows_the_schema(cls: type[errors.ServiceError]) -> None:
    scope: Scope = {"type": "http", "path": "/search", "state": {"request_id": "abc"}}

    response = problem_response(scope, cls("what was wrong"))

    problem = Problem.model_validate_json(bytes(response.body))
    assert problem.code == cls.code
    assert problem.status == response.status_code == cls.status
    assert problem.title == cls.title


OPEN = {"GET /healthz", "GET /readyz"}
CHANGES = {"POST /clips", "POST /clips/bulk", "PUT /clips/{clip_id}", "DELETE /clips/{clip_id}"}


def scopes(schema: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: operation["security"] for name, operation in operations(schema).items()}


def test_each_operation_says_which_key_it_may_have(schema: dict[str, Any]) -> None:
    (name,) = schema["components"]["securitySchemes"]
    assert schema["components"]["securitySchemes"][name]["type"] == "http"
    assert schema["components"]["securitySchemes"][name]["scheme"] == "bearer"
    for operation, security in scopes(schema).items():
        scope = "write" if operation in CHANGES else "read"
        assert security == ([] if operation in OPEN else [{}, {name: [scope]}])


def test_with_keys_each_operation_needs_the_key_that_the_schema_says(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "keys.txt"
    made = {scope: make_key(scope, scope) for scope in SCOPES}
    write_keys(path, [key for _, key in made.values()])
    bearer = {scope: {"authorization": f"Bearer {made[scope][0]}"} for scope in SCOPES}
    with serving(tiny_bundle_path, tmp_path / "library", keys=path) as client:
        document = client.get("/openapi.json", headers=bearer["read"]).json()
        for operation, security in scopes(document).items():
            method, target = operation.split()
            target = target.replace("{clip_id}", "a")
            codes = {
                scope: client.request(method, target, headers=headers).status_code
                for scope, headers in {"none": {}, **bearer}.items()
            }
            needed = [scope for it in security for scopes_ in it.values() for scope in scopes_]
            assert (codes["none"] == 401) == bool(needed), operation
            assert (codes["read"] == 403) == (needed == ["write"]), operation
            assert codes["write"] not in (401, 403), operation


def test_every_error_is_documented(schema: dict[str, Any]) -> None:
    listed = {pair for operation in operations(schema).values() for pair in documented(operation)}

    assert listed == {(cls.status, cls.code) for cls in ERRORS if cls not in OUTSIDE}
    known = schema["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert set(known) == {cls.code for cls in ERRORS}


def test_every_endpoint_of_the_api_is_there(schema: dict[str, Any]) -> None:
    assert set(operations(schema)) == {
        "POST /embed",
        "POST /difference",
        "POST /search",
        "GET /clips",
        "POST /clips",
        "PUT /clips/{clip_id}",
        "GET /clips/{clip_id}",
        "DELETE /clips/{clip_id}",
        "GET /clips/{clip_id}/audio",
        "GET /clips/{clip_id}/peaks",
        "GET /clips/{clip_id}/spectrogram",
        "POST /pictures",
        "GET /map",
        "POST /clips/bulk",
        "GET /healthz",
        "GET /readyz",
        "GET /info",
        "GET /metrics",
    }


def test_all_references_exist(schema: dict[str, Any]) -> None:
    text = json.dumps(schema)
    names = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}

    assert names <= set(schema["components"]["schemas"])
    assert "#/$defs/" not in text


def test_every_operation_has_a_description(schema: dict[str, Any]) -> None:
    assert all(operation.get("description") for operation in operations(schema).values())


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("/embed", {"multipart/form-data", "audio/*", "application/octet-stream"}),
        (
            "/difference",
            {
                "multipart/form-data",
                "application/x-www-form-urlencoded",
                "application/json",
            },
        ),
        (
            "/search",
            {
                "multipart/form-data",
                "application/x-www-form-urlencoded",
                "application/json",
                "audio/*",
                "application/octet-stream",
            },
        ),
    ],
)
def test_bodies_are_documented_by_kind(schema: dict[str, Any], path: str, kinds: set[str]) -> None:
    assert set(schema["paths"][path]["post"]["requestBody"]["content"]) == kinds


def test_fields_are_documented_in_body_and_query(schema: dict[str, Any]) -> None:
    operation = schema["paths"]["/search"]["post"]
    content = operation["requestBody"]["content"]

    fields = set(content["application/json"]["schema"]["properties"])
    assert {"clip_id", "embedding", "reference_id", "k", "filter"} <= fields
    assert {parameter["name"] for parameter in operation["parameters"]} == fields
    assert {"modifier", "modifier_strength", "every_window"} <= fields
    strength = content["application/json"]["schema"]["properties"]["modifier_strength"]["anyOf"][0]
    assert (strength["minimum"], strength["maximum"]) == (0, 4)
    parts = set(content["multipart/form-data"]["schema"]["properties"])
    assert parts == fields | {"audio", "reference"}


def test_text_has_no_null_and_no_list_of_numbers(schema: dict[str, Any]) -> None:
    operation = schema["paths"]["/search"]["post"]
    content = operation["requestBody"]["content"]
    of_json = content["application/json"]["schema"]["properties"]
    of_parts = content["multipart/form-data"]["schema"]["properties"]

    assert {"type": "null"} in of_json["clip_id"]["anyOf"]
    assert of_parts["embedding"]["type"] == "string"
    of_query = [it.get("schema", it.get("content")) for it in operation["parameters"]]
    for field in (*of_parts.values(), *of_query):
        assert {"type": "null"} not in field.get("anyOf", [])


def test_paths_have_the_pattern_of_ids(schema: dict[str, Any]) -> None:
    for path, methods in schema["paths"].items():
        for operation in methods.values() if "{clip_id}" in path else ():
            (parameter,) = (it for it in operation["parameters"] if it["in"] == "path")
            pattern = re.compile(parameter["schema"]["pattern"])
            for clip_id in ("a", "..a", "a.", ".a", "...", "a" * 128):
                assert pattern.search(clip_id), check_id(clip_id)
            for clip_id in ("", ".", "..", "a/b", "a b", "ä", "a" * 129):
                assert not pattern.search(clip_id)


def bulk_line(client: Client) -> bytes:
    fingerprint = client.get("/info").json()["bundle"]["fingerprint"]
    return orjson.dumps({"id": "bulk", "embedding": [1.0] * 8, "fingerprint": fingerprint})


RESPONSES = [
    (models.EmbedAnswer, "POST", "/embed", {"files": {"audio": TONE}}),
    (models.EmbedAnswer, "POST", "/embed?window_s=0.4", {"content": TONE}),
    (models.EmbedAnswer, "POST", "/embed?encoding=base64", {"content": TONE}),
    (models.SearchAnswer, "POST", "/search", {"json": {"clip_id": "tone"}}),
    (
        models.SearchAnswer,
        "POST",
        "/search",
        {"json": {"clip_id": "tone", "every_window": True}},
    ),
    (
        models.DifferenceAnswer,
        "POST",
        "/difference",
        {"json": {"mixture_id": "tone", "reference_id": "noise"}},
    ),
    (models.ClipAnswer, "POST", "/clips", {"content": TONE}),
    (models.ClipAnswer, "GET", "/clips/tone", {}),
    (models.ListAnswer, "GET", "/clips", {}),
    (models.PeaksAnswer, "GET", "/clips/tone/peaks", {}),
    (models.PictureAnswer, "POST", "/pictures?columns=20", {"content": TONE}),
    (models.MapAnswer, "GET", "/map", {}),
    (models.BulkAnswer, "POST", "/clips/bulk", {}),
    (models.StatusAnswer, "GET", "/healthz", {}),
    (models.StatusAnswer, "GET", "/readyz", {}),
    (models.InfoAnswer, "GET", "/info", {}),
]
TOWERS_RESPONSES = [
    (models.SearchAnswer, "POST", "/search", {"json": {"modifier": "a high"}}),
    (
        models.SearchAnswer,
        "POST",
        "/search",
        {"json": {"clip_id": "tone", "modifier": "high " * 99, "modifier_strength": 2}},
    ),
    (
        models.SearchAnswer,
        "POST",
        "/search?modifier=%00&modifier_strength=0.5",
        {"content": TONE},
    ),
    (
        models.DifferenceAnswer,
        "POST",
        "/difference",
        {"json": {"mixture_id": "tone", "reference_id": "noise", "phrases": 3}},
    ),
    (models.InfoAnswer, "GET", "/info", {}),
]


@pytest.fixture(scope="module")
def towers(towers_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(towers_bundle_path, tmp_path_factory.mktemp("towers") / "library") as client:
        client.put_clips({"tone": TONE, "noise": NOISE})
        yield client


@pytest.mark.parametrize(
    ("service", "model", "method", "path", "options"),
    [("client", *row) for row in RESPONSES] + [("towers", *row) for row in TOWERS_RESPONSES],
)
def test_responses_follow_their_models(
    request: pytest.FixtureRequest,
    service: str,
    model: type[models.ResponseModel],
    method: str,
    path: str,
    options: dict[str, Any],
) -> None:
    client: Client = request.getfixturevalue(service)
    if path == "/clips/bulk":
        headers = {"content-type": "application/x-ndjson"}
        options = {"content": bulk_line(client), "headers": headers}

    response = client.request(method, path, **options)

    assert response.is_success, response.text
    model.model_validate_json(response.content)
    identity = client.get("/healthz").json()["bundle"]
    assert response.json()["bundle"] == identity
    assert response.headers["minuend-bundle"] == identity["id"]
    assert response.headers["minuend-fingerprint"] == identity["fingerprint"]


def test_the_schema_does_not_depend_on_the_bundle(schema: dict[str, Any], towers: Client) -> None:
    assert towers.get("/openapi.json").json() == schema
