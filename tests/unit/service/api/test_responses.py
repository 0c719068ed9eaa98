from __future__ import annotations

import pytest
from fastapi import Request

from service.api.responses import wants_npy


@pytest.mark.parametrize(
    ("accept", "npy"),
    [
        ("application/x-npy", True),
        ("application/json;q=0.1, Application/X-NPY ; q=0.9", True),
        ("*/*", False),
        ("application/x-npyz", False),
        ("", False),
    ],
)
def test_npy_is_sent_if_the_client_accepts_it(accept: str, npy: bool) -> None:
    scope = {"type": "http", "headers": [(b"accept", accept.encode())]}

    assert wants_npy(Request(scope)) is npy
