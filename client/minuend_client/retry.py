"""Repeated attempts with exponential back-off."""

from __future__ import annotations

import random
from dataclasses import dataclass

import httpx

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
"""Statuses of temporary errors: 503 and 504 of the service, and those of proxies before it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential back-off with jitter. Every call of the service can be repeated safely.

    Attributes:
        attempts: Most attempts, including the first.
        first_wait_s: Wait before the second attempt [s]; it doubles with each further attempt.
        longest_wait_s: Longest wait [s].
    """

    attempts: int = 6
    first_wait_s: float = 0.25
    longest_wait_s: float = 30.0

    def wait_s(self, attempt: int, response: httpx.Response | None) -> float | None:
        """Return the wait before the next attempt [s], or None if there is to be no other.

        Args:
            attempt: Number of the last attempt, from 1.
            response: Its response, or None if there was none.
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
