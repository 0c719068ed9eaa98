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

from service.api.connections.opening import OTHER_FILES
from service.api.connections.protocol import MAX_HEAD_BYTES
from service.api.middleware.cross_site import SiteRules
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


def test_nothing_is_published_beyond_this_machine_by_default() -> None:
    published = [port for it in services().values() for port in it.get("ports", [])]

    assert len(published) >= 5
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_names_that_other_containers_use_are_answered_for() -> None:
    hosts = services()["minuend"]["environment"]["MINUEND_ALLOWED_HOSTS"].split(",")
    scraping = yaml.safe_load((FILE.parent / "prometheus" / "prometheus.yml").read_text("utf-8"))
    (job,) = scraping["scrape_configs"]
    rules = SiteRules.make(hosts=hosts, origins=[])

    assert all(rules.answers_for(it) for group in job["static_configs"] for it in group["targets"])
    assert not rules.answers_for("evil.example")


def test_the_container_may_open_as_many_files_as_connections_need() -> None:
    limits = services()["minuend"]["ulimits"]["nofile"]

    assert limits["hard"] >= Settings().max_connections + OTHER_FILES


def test_the_proxy_bounds_heads_and_connections_as_the_service_does() -> None:
    proxy = (FILE.parent / "nginx" / "nginx.conf").read_text("utf-8")
    ((number, kibibytes),) = re.findall(r"large_client_header_buffers (\d+) (\d+)k;", proxy)

    assert int(number) * int(kibibytes) * 1024 == MAX_HEAD_BYTES
    assert f"client_header_timeout {Settings().head_timeout_s:g}s;" in proxy
    assert f"send_timeout {Settings().body_timeout_s:g}s;" in proxy
    assert "limit_conn connections 64;" in proxy
    assert "proxy_set_header Host $http_host;" in proxy


def test_the_limits_of_bodies_are_the_same_in_proxy_and_service() -> None:
    proxy = (FILE.parent / "nginx" / "nginx.conf").read_text("utf-8")
    settings = Settings()

    assert f"client_max_body_size {settings.max_body_bytes // 2**20}m;" in proxy
    assert f"client_body_timeout {settings.body_timeout_s:g}s;" in proxy
    (answer_s,) = re.findall(r"proxy_read_timeout (\d+)s;", proxy)
    assert int(answer_s) > settings.deadline_s
