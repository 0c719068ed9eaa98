from __future__ import annotations

import time
from pathlib import Path

import pytest

from service.bundle.files import load_bundle
from service.inference.autotune import cheapest_within_margin, interleaved_timing, powers, tune
from service.inference.onnx_session import n_cores
from service.settings import Settings


def test_candidates_run_alternately_and_each_is_measured() -> None:
    calls: list[str] = []

    measured = interleaved_timing(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, seconds=0.001
    )

    assert calls == ["a", "b"] * (len(calls) // 2)
    assert list(measured) == ["a", "b"]
    assert all(took_ms >= 0 for took_ms in measured.values())


def test_each_candidate_is_measured_at_least_once() -> None:
    assert interleaved_timing({"slow": lambda: time.sleep(0.002)}, seconds=0)["slow"] >= 2


@pytest.mark.parametrize(
    ("measured", "best"),
    [
        ({"one": 10.0, "two": 9.9, "four": 9.8}, "one"),
        ({"one": 20.0, "two": 10.0, "four": 9.9}, "two"),
        ({"one": 20.0, "two": 15.0, "four": 10.0}, "four"),
    ],
)
def test_the_cheapest_of_about_equally_fast_candidates_is_chosen(
    measured: dict[str, float], best: str
) -> None:
    assert cheapest_within_margin(measured) == best


@pytest.mark.parametrize(
    ("most", "expected"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])]
)
def test_powers_end_with_the_most(most: int, expected: list[int]) -> None:
    assert powers(most) == expected


def test_the_choices_are_settings_with_their_measurements(
    tiny_bundle_path: Path,
) -> None:
    choices = {it.setting: it for it in tune(load_bundle(tiny_bundle_path), seconds=0.01)}

    assert list(choices) == ["threads", "spinning", "arena", "runs", "batch_s"]
    settings = Settings.model_validate({name: it.value for name, it in choices.items()})
    assert 1 <= settings.runs <= settings.threads <= n_cores()
    for choice in choices.values():
        comment, line = choice.lines()
        assert comment.startswith("# ")
        assert all(
            f"{took_ms:.1f} ms with {name}" in comment for name, took_ms in choice.measured.items()
        )
        assert line == f"MINUEND_{choice.setting.upper()}={choice.value}"
