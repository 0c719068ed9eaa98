"""What a call may raise."""

from __future__ import annotations

from typing import Any

import httpx


class MinuendError(Exception):
    """The base of all errors of this client."""


class UnreachableError(MinuendError):
    """No answer came, also after all retries."""


class ProblemError(MinuendError):
    """The service refused; its problem details (RFC 9457).

    Attributes:
        status: HTTP status.
        code: Stable name of the problem; branch on this.
        title: What kind of problem it is.
        detail: What was wrong with this request and what is allowed.
        request_id: Under which the service's log tells of it.
    """

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.code = str(body.get("code", "unknown"))
        self.title = str(body.get("title", "The service refused"))
        self.detail = str(body.get("detail", ""))
        self.request_id = body.get("request_id")
        super().__init__(f"{self.title}: {self.detail} ({self.status} {self.code})")


def raise_for_problem(response: httpx.Response) -> None:
    """Raise what an answer says went wrong, if anything did.

    Raises:
        ProblemError: The answer is no success. What did not come from the service itself, such as
            a proxy's page, has the code ``unknown``.
    """
    if response.is_success:
        return
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {"detail": response.text[:200]}
    raise ProblemError(response.status_code, body)
