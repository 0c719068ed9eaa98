"""When to try again, and how long to wait before."""

from __future__ import annotations

import random
from dataclasses import dataclass

import httpx

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
"""Answers that say: not now. The service documents 503; proxies before it give the others."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential back-off with jitter; every call of the service can be repeated safely.

    Attributes:
        attempts: How often a call is made at most, the first time included.
        first_wait_s: Wait before the second attempt [s]; it doubles from one to the next.
        longest_wait_s: Longest wait [s].
    """

    attempts: int = 6
    first_wait_s: float = 0.25
    longest_wait_s: float = 30.0

    def wait_s(self, attempt: int, response: httpx.Response | None) -> float | None:
        """Return how long to wait after an attempt, or None to take its outcome.

        Args:
            attempt: Its number, from 1.
            response: The answer, or None where none came.
        """
        if attempt >= self.attempts:
            return None
        if response is not None and response.status_code not in RETRIED_STATUSES:
            return None
        wait = self.first_wait_s * float(2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        if response is not None:
            wait = max(wait, _retry_after_s(response))
        return min(wait, self.longest_wait_s)


def _retry_after_s(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
