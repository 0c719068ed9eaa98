from __future__ import annotations

import orjson
import pytest
from service_client import Client
from starlette.routing import Route
from starlette.types import Scope

from service.api.problems import problem_response
from service.errors import KOutOfRangeError, NotReadyError, StorageFullError

SCOPE: Scope = {"type": "http", "path": "/search", "state": {"request_id": "abc"}}


def test_a_problem_has_every_member_of_rfc_9457_and_ours() -> None:
    response = problem_response(SCOPE, KOutOfRangeError("k is 0; 1 to 1000 are allowed"))

    assert response.status_code == 422
    assert response.media_type == "application/problem+json"
    assert orjson.loads(response.body) == {
        "type": "urn:minuend:problem:k_out_of_range",
        "title": "k is out of range",
        "status": 422,
        "detail": "k is 0; 1 to 1000 are allowed",
        "instance": "/search",
        "code": "k_out_of_range",
        "request_id": "abc",
    }


def test_an_unavailable_service_says_when_to_try_again() -> None:
    assert problem_response(SCOPE, NotReadyError("starting")).headers["retry-after"] == "1"
    full = problem_response(SCOPE, StorageFullError("no room"))
    assert full.status_code == 507
    assert "retry-after" not in full.headers  # a second later, the disk is still full


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/search", "POST, OPTIONS"),
        ("/clips", "GET, HEAD, POST, OPTIONS"),
        ("/clips/a", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
    ],
)
def test_the_methods_of_a_path_are_listed(client: Client, path: str, allow: str) -> None:
    refused = client.request("PATCH", path)
    options = client.request("OPTIONS", path)

    assert (refused.status_code, refused.headers["allow"]) == (405, allow)
    assert (options.status_code, options.headers["allow"]) == (204, allow)


def test_a_path_allows_the_methods_that_it_answers_and_no_other(client: Client) -> None:
    routes = [route for route in client.app.router.routes if isinstance(route, Route)]
    paths = {route.path.replace("{clip_id}", "a").replace("{name}", "b.js") for route in routes}
    assert len(paths) > 15
    for path in sorted(paths):
        allowed = client.request("OPTIONS", path).headers["allow"].split(", ")
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"):
            answer = client.request(method, path)
            assert (answer.status_code != 405) == (method in allowed), f"{method} {path}"
            if answer.status_code == 405:
                assert answer.headers["allow"].split(", ") == allowed


def test_head_responds_as_get_without_a_body(client: Client) -> None:
    head, get = client.request("HEAD", "/info"), client.get("/info")

    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]
