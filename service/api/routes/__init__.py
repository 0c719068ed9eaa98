"""Endpoints, one module per group: a handler reads a form, calls the services and responds."""

from __future__ import annotations

from starlette.routing import BaseRoute

from service.api.routes import (
    bulk,
    clips,
    difference,
    embed,
    library_map,
    page,
    pictures,
    search,
    status,
)


def make_routes() -> list[BaseRoute]:
    """Return all endpoints of the service, in the order in which a path is compared with them.

    The list is flat: FastAPI compares a path several times with a router inside a router.
    """
    # Before clips, so that /clips/bulk is not taken for a clip with the id bulk.
    modules = (embed, difference, search, status, bulk, clips, pictures, library_map, page)
    return [route for module in modules for route in module.make_router().routes]
