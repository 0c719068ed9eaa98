"""Answers as JSON or npy, always with the bundle they come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from fastapi import Request
from jaxtyping import Float32
from starlette.responses import Response

from service.api.vector_encoding import to_npy
from service.clips import ClipRecord
from service.retrieval.searcher import RankedHit
from service.services import Services

NPY = "application/x-npy"


def answer(
    services: Services, payload: dict[str, Any], *, status: int = 200, location: str | None = None
) -> Response:
    """Return a JSON answer; arrays in it become lists of numbers."""
    body = orjson.dumps({**payload, "bundle": services.identity}, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = {"location": location} if location else None
    return Response(body, status, headers, "application/json")


def npy(array: Float32[np.ndarray, ...]) -> Response:
    """Return an array as an npy file."""
    return Response(to_npy(array), media_type=NPY)


def wants_npy(request: Request) -> bool:
    """Tell whether the client asked for npy."""
    ranges = request.headers.get("accept", "").split(",")
    return any(media_range.partition(";")[0].strip().lower() == NPY for media_range in ranges)


def audio_path(record: ClipRecord) -> str | None:
    """Return where a clip's audio is served, None if it has none."""
    return None if record.source == "vector" else f"/clips/{record.id}/audio"


def hit_body(ranked: RankedHit) -> dict[str, Any]:
    """Return a hit as documented by `HitOut`."""
    return ranked.body() | {"audio": audio_path(ranked.hit.record)}


def clip_body(record: ClipRecord) -> dict[str, Any]:
    """Return a clip as documented by `ClipOut`; where its file lies stays inside."""
    return {
        "clip_id": record.id,
        "source": record.source,
        "metadata": record.metadata,
        "duration_s": record.duration_s,
        "sample_rate_hz": record.sample_rate_hz,
        "channels": record.channels,
        "media_type": record.media_type,
        "size_bytes": record.size_bytes,
        "windows": record.windows,
        "sha256": record.sha256,
        "audio": audio_path(record),
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }
