"""The compose file is what the Compose specification allows, and its parts fit together.

docker-compose 1.29 reads it in the tests of the containers; here it is held to the specification
that newer ones follow.
"""

from __future__ import annotations

import re
from typing import Any

import compose_spec
import pytest
import yaml
from compose_stack import FILE

from service.settings import PREFIX, Settings, load_settings

TEXT = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", FILE.read_text("utf-8"))
"""The file as it is where nothing is set."""


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(TEXT)["services"]
    return found


def check(text: str) -> None:
    options = compose_spec.PyOptions()
    options.apply_merge = True
    options.from_yaml(text).validate()


def test_it_follows_the_specification() -> None:
    check(TEXT)


@pytest.mark.parametrize(
    ("there", "broken"),
    [("mem_limit", "memory_limit"), ("pids_limit: 256", "pids_limit: [few]")],
)
def test_a_fault_would_be_found(there: str, broken: str) -> None:
    with pytest.raises(ValueError, match=r"extension key|invalid type"):
        check(TEXT.replace(there, broken))


def test_it_says_no_version() -> None:
    """Newer ones warn of it, and 1.29 does not need it."""
    assert "version" not in yaml.safe_load(TEXT)


def test_only_the_service_itself_comes_without_a_profile() -> None:
    assert {name for name, it in services().items() if "profiles" not in it} == {"minuend"}


@pytest.mark.parametrize("name", ["minuend", "minuend-gpu"])
def test_what_it_sets_are_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = services()[name]["environment"]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value or "")

    settings = load_settings()

    ours = {it for it in environment if it.startswith(PREFIX)}
    assert ours <= {PREFIX + field.upper() for field in Settings.model_fields}
    assert settings.traces is False
    assert settings.keys is None


def test_bodies_and_their_pauses_have_the_same_limits_before_and_in_the_service() -> None:
    proxy = (FILE.parent / "nginx" / "nginx.conf").read_text("utf-8")
    settings = Settings()

    assert f"client_max_body_size {settings.max_body_bytes // 2**20}m;" in proxy
    assert f"client_body_timeout {settings.body_timeout_s:g}s;" in proxy
    (answer_s,) = re.findall(r"proxy_read_timeout (\d+)s;", proxy)
    assert int(answer_s) > settings.deadline_s
