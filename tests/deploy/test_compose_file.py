"""The compose file follows the Compose specification, and its parts are consistent.

The tests of the containers read it with docker-compose 1.29; newer versions follow the
specification.
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
"""The file with the defaults of all variables."""


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(TEXT)["services"]
    return found


def check(text: str) -> None:
    options = compose_spec.PyOptions()
    options.apply_merge = True
    options.from_yaml(text).validate()


def test_it_follows_the_specification() -> None:
    check(TEXT)


def test_only_the_service_has_no_profile() -> None:
    assert {name for name, it in services().items() if "profiles" not in it} == {"minuend"}


@pytest.mark.parametrize("name", ["minuend", "minuend-gpu"])
def test_its_variables_are_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = services()[name]["environment"]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value or "")

    settings = load_settings()

    ours = {it for it in environment if it.startswith(PREFIX)}
    assert ours <= {PREFIX + field.upper() for field in Settings.model_fields}
    assert settings.traces is False
    assert settings.keys is None


def test_the_limits_of_bodies_are_the_same_in_proxy_and_service() -> None:
    proxy = (FILE.parent / "nginx" / "nginx.conf").read_text("utf-8")
    settings = Settings()

    assert f"client_max_body_size {settings.max_body_bytes // 2**20}m;" in proxy
    assert f"client_body_timeout {settings.body_timeout_s:g}s;" in proxy
    (answer_s,) = re.findall(r"proxy_read_timeout (\d+)s;", proxy)
    assert int(answer_s) > settings.deadline_s
