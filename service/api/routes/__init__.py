"""The endpoints, one module per group: handlers read, call a use case, and shape its answer."""

from __future__ import annotations

from starlette.routing import BaseRoute

from service.api.routes import atlas, bulk, clips, difference, embed, page, pictures, search, status


def make_routes() -> list[BaseRoute]:
    """Return all endpoints of the service, in the order in which a path is compared with them.

    They are one flat list: FastAPI compares a path with routers inside of routers several times.
    """
    # bulk before clips: /clips/bulk is not a clip called bulk.
    modules = (embed, difference, search, status, bulk, clips, pictures, atlas, page)
    return [route for module in modules for route in module.make_router().routes]
