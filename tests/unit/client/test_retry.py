from __future__ import annotations

import httpx
import pytest
from minuend_client import Retry

RETRY = Retry(attempts=5, first_wait_s=1.0, longest_wait_s=6.0)


@pytest.mark.parametrize("status", [200, 201, 204, 400, 404, 409, 413, 422, 500])
def test_permanent_errors_are_not_repeated(status: int) -> None:
    assert RETRY.wait_s(1, httpx.Response(status)) is None


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_temporary_errors_are_repeated_until_the_last_attempt(status: int) -> None:
    waits = [RETRY.wait_s(attempt, httpx.Response(status)) for attempt in range(1, 6)]
    assert all(wait is not None for wait in waits[:4])
    assert waits[4] is None


def test_waits_double_within_their_jitter_up_to_the_longest() -> None:
    for attempt, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 6.0)):
        wait = RETRY.wait_s(attempt, None)
        assert wait is not None
        assert longest / 2 <= wait <= longest


def test_the_header_retry_after_is_obeyed() -> None:
    wait = RETRY.wait_s(1, httpx.Response(503, headers={"retry-after": "5"}))
    assert wait == 5.0
    wait = RETRY.wait_s(1, httpx.Response(503, headers={"retry-after": "3600"}))
    assert wait == RETRY.longest_wait_s
    wait = RETRY.wait_s(1, httpx.Response(503, headers={"retry-after": "Wed, 21 Oct 2026"}))
    assert wait is not None
    assert wait <= 1.0
