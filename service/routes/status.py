"""What operators ask: does it live, is it ready, what is it, how does it do."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from service import __version__, metrics
from service.answers import InfoAnswer, StatusAnswer
from service.errors import NotReadyError
from service.openapi import describe
from service.responses import answer
from service.routes.dependencies import CoreDep, MetricsDep
from service.towers import Towers


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["status"])
    router.get("/healthz", **describe(StatusAnswer))(get_health)
    router.get("/readyz", **describe(StatusAnswer, NotReadyError))(get_readiness)
    router.get("/info", **describe(InfoAnswer))(get_info)
    router.get("/metrics", **describe(None, media_types=("text/plain",)))(get_metrics)
    return router


async def get_health(core: CoreDep) -> Response:
    """Tell that the process answers; a full queue does not change that."""
    return answer(core, {"status": "live"})


async def get_readiness(core: CoreDep) -> Response:
    """Tell whether requests are welcome: everything is open and the library can be read."""
    core.check_ready()
    await core.look_up(core.library.revision)
    return answer(core, {"status": "ready"})


async def get_info(core: CoreDep) -> Response:
    """Tell what runs here, where it comes from and what it allows."""
    manifest, settings = core.bundle.manifest, core.settings
    limits = {name: value for name, value in settings.model_dump().items() if "max_" in name}
    payload: dict[str, Any] = {
        "service": {"version": __version__, "provider": core.encoder.provider},
        "encoder": {
            "dim": core.encoder.dim,
            "sample_rate_hz": core.encoder.sample_rate,
            "precision": core.encoder.precision,
            "reference_weight": core.encoder.reference_weight,
        },
        "training": {"created": manifest.created, **manifest.training.model_dump()},
        "scores": manifest.scores,
        "licence": manifest.licence,
        "library": {
            "clips": await core.look_up(core.library.count),
            "vectors": await core.look_up(core.library.n_vectors),
            "revision": await core.look_up(core.library.revision),
            "not_embedded": await core.look_up(core.library.backlog.n_lacking),
        },
        "modifier": core.towers is not None,
        "towers": core.towers and _towers_body(core.towers),
        "limits": limits,
    }
    return answer(core, payload)


def _towers_body(towers: Towers) -> dict[str, Any]:
    return {
        "fingerprint": towers.info.fingerprint,
        "dim": towers.info.dim,
        "text_precision": towers.info.text_precision,
        "max_tokens": towers.info.max_tokens,
        "phrases": len(towers.bank),
        "scores": towers.info.scores,
        "training": towers.info.training.model_dump(),
    }


async def get_metrics(core: CoreDep, counted: MetricsDep) -> Response:
    """Give numbers for Prometheus."""
    counted.clips.set(await core.look_up(core.library.count))
    counted.vectors.set(await core.look_up(core.library.n_vectors))
    return Response(counted.render(), media_type=metrics.CONTENT_TYPE)
