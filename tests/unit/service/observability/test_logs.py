from __future__ import annotations

import json
import logging

import pytest

from service.observability.logs import RateLimitedLog, configure_logging, request_id

pytestmark = pytest.mark.usefixtures("restored_logging")


def test_a_line_is_a_json_object_with_the_id_of_its_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("info")
    token = request_id.set("abc")

    logging.getLogger("service.test").info("ready", extra={"port": 8000})

    request_id.reset(token)
    line = json.loads(capsys.readouterr().err)
    assert line.pop("timestamp")
    assert line == {
        "level": "INFO",
        "logger": "service.test",
        "message": "ready",
        "port": 8000,
        "request_id": "abc",
    }


def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning")

    logging.getLogger("service.test").info("ready")

    assert capsys.readouterr().err == ""


def test_a_traceback_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")

    try:
        raise OSError("disk full")
    except OSError:
        logging.getLogger("service.test").exception("failed")

    (line,) = capsys.readouterr().err.splitlines()
    assert "disk full" in json.loads(line)["exc_info"]


def test_a_rate_limited_log_has_one_line_in_an_interval(caplog: pytest.LogCaptureFixture) -> None:
    times = iter([0.0, 0.0, 0.1, 0.9, 1.0, 1.5, 5.0])
    limited = RateLimitedLog(logging.getLogger("test"), logging.ERROR, clock=lambda: next(times))

    for n in range(6):
        limited.write(f"line {n}")

    assert [record.getMessage() for record in caplog.records] == [
        "line 0",
        "line 3 (2 more lines were left out)",
        "line 5 (1 more lines were left out)",
    ]
