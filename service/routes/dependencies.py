"""What handlers ask FastAPI for.

None of it waits for anything, yet all of it is `async`: FastAPI gives what is not to a thread.
"""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from service.core import Core
from service.metrics import Metrics
from service.timing import Phases


async def _core(request: Request) -> Core:
    return cast(Core, request.app.state.core)


async def _metrics(request: Request) -> Metrics:
    return cast(Metrics, request.app.state.metrics)


async def _phases(request: Request) -> Phases:
    return cast(Phases, request.state.phases)


CoreDep = Annotated[Core, Depends(_core)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
PhasesDep = Annotated[Phases, Depends(_phases)]
