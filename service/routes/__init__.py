"""The endpoints, one module per group: handlers read, call a use case, and shape its answer."""

from __future__ import annotations

from fastapi import APIRouter

from service.routes import atlas, bulk, clips, difference, embed, page, pictures, search, status


def make_router() -> APIRouter:
    """Return all endpoints of the service."""
    router = APIRouter()
    # bulk before clips: /clips/bulk is not a clip called bulk.
    for module in (page, status, embed, difference, search, bulk, clips, pictures, atlas):
        router.include_router(module.make_router())
    return router
