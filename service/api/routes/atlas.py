"""GET /map: the library on a plane."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.forms import Shape
from service.api.openapi import describe
from service.api.request_models import MapFields, validate
from service.api.response_models import MapAnswer
from service.api.responses import answer, audio_path
from service.api.routes.dependencies import ServicesDep
from service.clips import ClipRecord

SHAPE = Shape(MapFields)
MAX_TEXT = 200
"""Characters of a title or a group on the map; thousands of them come at once."""


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["library"])
    router.get("/map", **describe(MapAnswer, shape=SHAPE))(get_map)
    return router


async def get_map(request: Request, services: ServicesDep) -> Response:
    """Tell where the clips lie on a plane: the two principal components of their vectors.

    The same library gives the same map. A large one is shown by some thousands of its clips.
    """
    fields = validate(MapFields, request.query_params.multi_items())
    drawn = await services.run_request(services.library_map.map)
    points = [
        {
            "clip_id": record.id,
            "x": round(float(x), 4),
            "y": round(float(y), 4),
            "title": _title(record),
            "group": _group(record, fields.group),
            "audio": audio_path(record),
        }
        for record, (x, y) in zip(drawn.records, drawn.positions, strict=True)
    ]
    facts = {"clips": drawn.n_clips, "revision": drawn.revision, "shown": round(drawn.shown, 4)}
    return answer(services, {"points": points, **facts})


def _title(record: ClipRecord) -> str | None:
    named = (record.metadata.get(name) for name in ("title", "name"))
    return next((text[:MAX_TEXT] for text in named if isinstance(text, str) and text), None)


def _group(record: ClipRecord, name: str) -> Any:
    value = record.metadata.get(name)
    if isinstance(value, list):
        value = value[0] if value else None
    return value[:MAX_TEXT] if isinstance(value, str) else value
