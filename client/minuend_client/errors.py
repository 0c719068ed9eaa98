"""Exceptions of the client."""

from __future__ import annotations

from typing import Any

import httpx


class MinuendError(Exception):
    """Base class of all errors of this client."""


class UnreachableError(MinuendError):
    """The service did not answer, also after all retries."""


class ProblemError(MinuendError):
    """The service refused a request, with problem details (RFC 9457).

    Attributes:
        status: HTTP status.
        code: Stable name of the problem, for decisions in programs.
        title: Short description of the kind of problem.
        detail: Fault of the request, and allowed values.
        request_id: Id of the request in the log of the service.
    """

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.code = str(body.get("code", "unknown"))
        self.title = str(body.get("title", "The service refused"))
        self.detail = str(body.get("detail", ""))
        self.request_id = body.get("request_id")
        super().__init__(f"{self.title}: {self.detail} ({self.status} {self.code})")


def raise_for_problem(response: httpx.Response) -> None:
    """Raise an error unless a response has a status of success.

    Raises:
        ProblemError: The status is an error. A response that is not from the service, such as the
            page of a proxy, has the code ``unknown``.
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
