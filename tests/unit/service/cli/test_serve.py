from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from shell import run, run_json

from service.settings import Settings


def test_options_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []
    monkeypatch.setattr("service.server.serve", lambda settings, **_: served.append(settings) or 0)
    monkeypatch.setenv("MINUEND_PORT", "1234")
    monkeypatch.setenv("MINUEND_HOST", "::1")
    monkeypatch.setenv("MINUEND_MAX_K", "7")

    run("serve", "--port", 4321, "--bundle", "b", "--library", "l", "--device", "cpu")

    (settings,) = served
    assert (settings.port, settings.host, settings.max_k) == (4321, "::1", 7)
    assert (settings.bundle, settings.library, settings.device) == (Path("b"), Path("l"), "cpu")


@pytest.mark.parametrize(
    ("variable", "option", "create"),
    [
        (None, None, True),
        ("false", None, False),
        ("false", "--create", True),
        (None, "--no-create", False),
    ],
)
def test_the_option_overrides_whether_a_library_is_made(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, option: str | None, create: bool
) -> None:
    served: list[Settings] = []
    monkeypatch.setattr("service.server.serve", lambda settings, **_: served.append(settings) or 0)
    if variable is not None:
        monkeypatch.setenv("MINUEND_CREATE", variable)

    run("serve", *filter(None, [option]))

    assert [settings.create for settings in served] == [create]


def test_the_exit_code_is_that_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.server.serve", lambda settings, **_: 1)

    run("serve", code=1)


def test_a_value_out_of_range_is_a_usage_error() -> None:
    run("serve", "--port", 65_536, code=2)
    run("serve", "--device", "tpu", code=2)


def test_the_json_has_the_address_of_the_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    def listen(settings: Settings, on_listening: Callable[[str, int], object]) -> int:
        on_listening("127.0.0.1", 4321)
        return 0

    monkeypatch.setattr("service.server.serve", listen)

    assert run_json("serve", "--port", 0) == {"host": "127.0.0.1", "port": 4321}
    assert run("serve", "--port", 0).stdout == ""
