"""GET /map: positions of the clips on a plane."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.forms import validate
from service.api.openapi import READ, describe
from service.api.request_models import MapQuery
from service.api.response_models import MapAnswer, audio_path
from service.api.responses import respond
from service.api.routes.dependencies import ServicesDep
from service.clips import ClipRecord

MAX_TEXT = 200
"""Most characters of a title or a group; a map has thousands of them."""


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["library"])
    router.get("/map", **describe(MapAnswer, *READ, form=MapQuery))(get_map)
    return router


async def get_map(request: Request, services: ServicesDep) -> Response:
    """Tell where the clips lie on a plane: the two principal components of their vectors.

    The same library gives the same map. A large one is shown by some thousands of its clips.
    """
    query = validate(MapQuery, request.query_params.multi_items())
    drawn = await services.threads.scans.run(services.library_map.map)
    points = [
        {
            "clip_id": record.id,
            "x": round(float(x), 4),
            "y": round(float(y), 4),
            "title": _title(record),
            "group": _group(record, query.group),
            "audio": audio_path(record),
        }
        for record, (x, y) in zip(drawn.records, drawn.positions, strict=True)
    ]
    shown = round(drawn.shown, 4)
    return respond(services, MapAnswer, drawn, points=points, clips=drawn.n_clips, shown=shown)


def _title(record: ClipRecord) -> str | None:
    named = (record.metadata.get(name) for name in ("title", "name"))
    return next((text[:MAX_TEXT] for text in named if isinstance(text, str) and text), None)


def _group(record: ClipRecord, name: str) -> Any:
    value = record.metadata.get(name)
    if isinstance(value, list):
        value = value[0] if value else None
    return value[:MAX_TEXT] if isinstance(value, str) else value
