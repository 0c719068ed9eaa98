"""Dependencies of the handlers.

They are `async` although they wait for nothing: FastAPI runs other functions in a thread.
"""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Path, Request

from service.api.json_schemas import CLIP_ID_PATTERN
from service.concurrency.timings import RequestTimings
from service.observability.metrics import Metrics
from service.services import Services


async def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


async def _metrics(request: Request) -> Metrics:
    return cast(Metrics, request.app.state.metrics)


async def _timings(request: Request) -> RequestTimings:
    return cast(RequestTimings, request.state.timings)


ServicesDep = Annotated[Services, Depends(_services)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
TimingsDep = Annotated[RequestTimings, Depends(_timings)]
ClipIdPath = Annotated[str, Path(json_schema_extra={"pattern": CLIP_ID_PATTERN})]
"""The id in a path; a library has no clip of another form, so only a write checks it."""
