"""Responses as JSON, with the bundle that made them, or as npy."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from fastapi import Request
from jaxtyping import Float32
from pydantic import BaseModel
from starlette.responses import Response

from service.api.response_models import make_body
from service.api.vector_encoding import to_npy
from service.services import Services

NPY = "application/x-npy"


def respond(
    services: Services,
    model: type[BaseModel],
    source: object = None,
    *,
    status_code: int = 200,
    location: str | None = None,
    **given: Any,
) -> Response:
    """Return a JSON response; arrays become lists of numbers.

    Args:
        services: Name the bundle.
        model: The response; see `make_body`.
        source: A result that has fields of the response.
        status_code: HTTP status.
        location: Path of a clip that was stored.
        **given: The other fields.
    """
    body = make_body(model, source, **given, bundle=services.identity)
    headers = {"location": location} if location else None
    content = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, status_code, headers, "application/json")


def npy(array: Float32[np.ndarray, ...]) -> Response:
    """Return an array as an npy file."""
    return Response(to_npy(array), media_type=NPY)


def wants_npy(request: Request) -> bool:
    """Return whether the client accepts npy."""
    ranges = request.headers.get("accept", "").split(",")
    return any(media_range.partition(";")[0].strip().lower() == NPY for media_range in ranges)
