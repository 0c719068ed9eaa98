from __future__ import annotations

import re

import pytest
from service_client import Client


def test_the_page_and_all_it_refers_to_are_served(client: Client) -> None:
    page = client.get("/")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    paths = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert len(paths) == 2
    for path in paths:
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/", "/page/page.js", "/page/page.css"])
def test_nothing_comes_from_other_hosts(client: Client, path: str) -> None:
    answer = client.get(path)

    assert "//" not in re.sub(r"^\s*//.*$", "", answer.text, flags=re.MULTILINE)
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")


def test_the_forms_of_the_page_name_parts_that_endpoints_take(client: Client) -> None:
    schema = client.get("/openapi.json").json()
    for path, form in re.findall(r'data-path="([^"]+)"(.*?)</form>', client.get("/").text, re.S):
        body = schema["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]
        files = re.findall(r'type="(?:file|range)" name="([^"]+)"', form)
        assert set(files) <= set(body["schema"]["properties"])


def test_there_are_no_other_files(client: Client) -> None:
    assert client.get("/page/__init__.py").json()["code"] == "not_found"
