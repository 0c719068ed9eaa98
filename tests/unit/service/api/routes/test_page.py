from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_client import Client, serving

import service

PAGE = Path(service.__file__).parent / "page"
FILES = sorted(path.name for path in PAGE.iterdir())
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


@pytest.fixture(scope="module")
def client(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One service for all files of the page."""
    with serving(tiny_bundle_path, tmp_path_factory.mktemp("page") / "library") as client:
        yield client


def address(name: str) -> str:
    return "/" if name == "index.html" else f"/page/{name}"


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_page_is_served_with_its_media_type(client: Client, name: str) -> None:
    response = client.get(address(name))

    assert response.content == (PAGE / name).read_bytes()
    assert response.headers["content-type"] == TYPES[Path(name).suffix]
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", FILES)
def test_all_references_between_files_exist(name: str) -> None:
    text = (PAGE / name).read_text("utf-8")
    named = re.findall(r'(?:src|href)="/page/([^"]+)"|from "\./([^"]+)"|"/page/([^"]+)"', text)

    assert {name for names in named for name in names if name} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_referred_to(name: str) -> None:
    others = "".join((PAGE / other).read_text("utf-8") for other in FILES if other != name)

    assert name == "index.html" or f'/{name}"' in others


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_loaded_from_other_hosts(name: str) -> None:
    text = (PAGE / name).read_text("utf-8")
    addresses = re.findall(r"""["'(=]\s*(?:https?:)?//[^\s"')]+""", text)

    # Names of XML vocabularies are not fetched.
    assert all("www.w3.org" in found for found in addresses)


@pytest.mark.parametrize("name", FILES)
def test_a_cached_response_is_not_sent_again(client: Client, name: str) -> None:
    tag = client.get(address(name)).headers["etag"]

    again = client.get(address(name), headers={"if-none-match": tag})

    assert (again.status_code, again.content) == (304, b"")
    assert client.get(address(name), headers={"if-none-match": '"old"'}).status_code == 200


def test_the_content_security_policy_allows_nothing_else(client: Client) -> None:
    policy = client.get("/").headers["content-security-policy"]

    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'self'"
    assert directives["media-src"] == "'self' blob:"
    assert directives["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy


def test_the_document_has_no_inline_style_or_script() -> None:
    document = (PAGE / "index.html").read_text("utf-8")

    assert not re.search(r"<style|<script(?![^>]*src=)|\sstyle=|\son\w+=|javascript:", document)


def test_ids_used_by_the_modules_are_in_the_document() -> None:
    document = (PAGE / "index.html").read_text("utf-8")
    ids = set(re.findall(r'\sid="([^"]+)"', document))
    modules = "".join((PAGE / name).read_text("utf-8") for name in FILES if name.endswith(".js"))

    assert set(re.findall(r'byId\("([^"]+)"\)', modules)) <= ids


def test_the_dark_theme_is_the_same_if_chosen_or_of_the_system() -> None:
    tokens = (PAGE / "tokens.css").read_text("utf-8")
    blocks = re.findall(r'\[data-theme="(?:dark|auto)"\] \{([^}]+)\}', tokens)

    chosen, of_the_system = (re.sub(r"\s+", " ", block) for block in blocks)
    assert chosen == of_the_system


def test_there_are_no_other_files(client: Client) -> None:
    for name in ("__init__.py", "index.htm", "..%2Fapp.py"):
        assert client.get(f"/page/{name}").json()["code"] == "not_found"
