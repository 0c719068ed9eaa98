from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import synth
from exchange import Exchange, read_all
from service_client import Client, serving

from service.api.middleware.cross_site import CrossSiteGuard, SiteRules, host_name

TONE = synth.encode(synth.tone(440))
TRUSTED = "https://studio.example"
FOREIGN = {
    "cross-site": {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    "cross-site without an origin": {"sec-fetch-site": "cross-site"},
    "same-site": {"sec-fetch-site": "same-site", "origin": "http://localhost:3000"},
    "another host": {"origin": "https://evil.example"},
    "another port": {"origin": "http://localhost:3000"},
    "an opaque origin": {"origin": "null"},
    "a form opened by the user": {"sec-fetch-site": "none", "origin": "https://evil.example"},
}
OWN = {
    "no browser": {},
    "the page": {"sec-fetch-site": "same-origin", "origin": "http://localhost"},
    "the page by an older browser": {"origin": "http://localhost"},
    "the page behind a proxy": {"sec-fetch-site": "same-origin", "origin": "https://sounds.org"},
    "the user": {"sec-fetch-site": "none"},
    "a trusted site": {"sec-fetch-site": "cross-site", "origin": TRUSTED},
}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
LOCAL_HOSTS = [
    *("localhost", "LOCALHOST:8000", "localhost.", "a.localhost", "127.0.0.1", "127.0.0.1:8000"),
    *("[::1]:8000", "[::1]", "192.168.1.20:8000", "0.0.0.0:8000", "sounds.lan:8000"),
]
REBOUND_HOSTS = [
    *("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"),
    *(
        "127.0.0.1@evil.example",
        "xlocalhost",
        "sounds.lan.evil.example",
        "[evil]",
        "evil,localhost",
    ),
]


@pytest.fixture(scope="module")
def client(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    settings = {"host": "sounds.lan", "cors_origins": TRUSTED}
    with serving(tiny_bundle_path, tmp_path_factory.mktemp("library"), **settings) as client:
        client.put_clips({"mine": TONE})
        yield client


def code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


CHANGES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "add": ("POST", "/clips", {"content": TONE}),
    "overwrite": ("PUT", "/clips/mine", {"content": TONE}),
    "remove": ("DELETE", "/clips/mine", {}),
    "bulk": ("POST", "/clips/bulk", {"content": b"{}"}),
    "search": ("POST", "/search", {"json": {"clip_id": "mine"}}),
    "an unknown method": ("PATCH", "/clips/mine", {}),
}


@pytest.mark.parametrize("call", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_a_page_of_another_site_changes_nothing(
    client: Client, call: tuple[str, str, dict[str, Any]], headers: dict[str, str]
) -> None:
    method, path, options = call

    assert code(client.request(method, path, headers=headers, **options)) == (403, "cross_site")
    assert [clip["clip_id"] for clip in client.get("/clips").json()["clips"]] == ["mine"]


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN)
def test_the_own_page_and_clients_that_are_no_browser_may_write(
    client: Client, headers: dict[str, str]
) -> None:
    assert client.put("/clips/mine", content=TONE, headers=headers).status_code == 200


@pytest.mark.parametrize("mode", ["no-cors", "cors", "websocket", "navigate"])
@pytest.mark.parametrize("destination", ["image", "audio", "script", "iframe", "embed", "empty"])
def test_a_page_of_another_site_embeds_nothing(client: Client, mode: str, destination: str) -> None:
    headers = LINK | {"sec-fetch-mode": mode, "sec-fetch-dest": destination}

    for path in ("/clips/mine/audio", "/clips/mine/spectrogram", "/clips", "/"):
        assert code(client.get(path, headers=headers)) == (403, "cross_site")


def test_a_link_of_another_site_opens_the_page(client: Client) -> None:
    assert client.get("/", headers=LINK).status_code == 200


def test_a_trusted_site_reads_with_its_origin(client: Client) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors", "origin": TRUSTED}
    answer = client.get("/clips/mine/audio", headers=headers)
    preflight = headers | {"access-control-request-method": "PUT"}
    before = client.request("OPTIONS", "/clips/mine", headers=preflight)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == TRUSTED
    assert before.status_code == 200
    assert "PUT" in before.headers["access-control-allow-methods"]


@pytest.mark.parametrize("host", REBOUND_HOSTS)
def test_a_name_that_was_rebound_gets_nothing(client: Client, host: str) -> None:
    headers = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    for method, path in (
        ("GET", "/clips"),
        ("GET", "/clips/mine/audio"),
        ("GET", "/metrics"),
        ("GET", "/"),
        ("DELETE", "/clips/mine"),
        ("OPTIONS", "/clips"),
    ):
        assert code(client.request(method, path, headers=headers)) == (403, "host_forbidden")


@pytest.mark.parametrize("host", LOCAL_HOSTS)
def test_loopback_names_addresses_and_the_own_host_are_answered(client: Client, host: str) -> None:
    assert client.get("/clips", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_answered_under_every_name(client: Client, path: str) -> None:
    assert client.get(path, headers={"host": "balancer.example"}).status_code == 200


def test_every_answer_stays_with_its_site_and_runs_nothing(client: Client) -> None:
    answers = [
        client.get("/clips/mine/audio"),
        client.get("/clips"),
        client.get("/nowhere"),
        client.get("/clips", headers={"host": "evil.example"}),
    ]
    for answer in answers:
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"].split("; ")
    page = client.get("/").headers
    assert page["cross-origin-resource-policy"] == "same-origin"
    assert "sandbox" not in page["content-security-policy"]
    assert "script-src" not in page["content-security-policy"]


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({}, 403),
        ({"allowed_hosts": "other.example"}, 403),
        ({"allowed_hosts": "other.example, Sounds.Example"}, 200),
        ({"allowed_hosts": "*"}, 200),
    ],
)
def test_names_are_added_by_a_setting(
    tiny_bundle_path: Path, tmp_path: Path, settings: dict[str, str], status: int
) -> None:
    with serving(tiny_bundle_path, tmp_path / "library", **settings) as client:
        headers = {"host": "sounds.example:8000"}
        assert client.get("/clips", headers=headers).status_code == status


@pytest.mark.parametrize(("allowed", "status"), [("", 401), ("other.example", 403)])
def test_with_keys_every_name_is_answered_unless_some_are_listed(
    tiny_bundle_path: Path, tmp_path: Path, allowed: str, status: int
) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("")
    settings = {"keys": keys, "allowed_hosts": allowed}
    with serving(tiny_bundle_path, tmp_path / "library", **settings) as client:
        assert client.get("/clips", headers={"host": "a.example"}).status_code == status


@pytest.mark.parametrize(
    ("version", "hosts", "status"),
    [("1.1", [], 400), ("1.1", ["a", "a"], 400), ("1.0", [], 200), ("1.0", ["a", "b"], 400)],
)
def test_a_request_names_one_host(version: str, hosts: list[str], status: int) -> None:
    exchange = Exchange([b""], method="GET")
    exchange.scope["http_version"] = version
    exchange.scope["headers"] = [(b"host", host.encode()) for host in hosts]

    rules = SiteRules.make(hosts=["*"], origins=[])
    assert exchange.run(CrossSiteGuard(read_all, rules=rules)).status == status


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Sounds.Example:8000", "sounds.example"),
        ("sounds.example.", "sounds.example"),
        ("[::1]:8000", "::1"),
        ("::1", "::1"),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert host_name(host) == name
