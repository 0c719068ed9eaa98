"""Liveness, readiness, description and metrics of the service."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from service import __version__
from service.api.openapi import describe
from service.api.response_models import InfoAnswer, StatusAnswer
from service.api.responses import respond
from service.api.routes.dependencies import MetricsDep, ServicesDep
from service.errors import NotReadyError
from service.inference.towers import Towers
from service.observability import metrics


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["status"])
    router.get("/healthz", **describe(StatusAnswer))(get_health)
    router.get("/readyz", **describe(StatusAnswer, NotReadyError))(get_readiness)
    router.get("/info", **describe(InfoAnswer))(get_info)
    router.get("/metrics", **describe(None, media_types=("text/plain",)))(get_metrics)
    return router


async def get_health(services: ServicesDep) -> Response:
    """Tell that the process answers; a full queue does not change that."""
    return respond(services, StatusAnswer, status="live")


async def get_readiness(services: ServicesDep) -> Response:
    """Tell whether requests are welcome: everything is open and the library can be read."""
    services.check_ready()
    await services.run_lookup(services.library.catalog.revision)
    return respond(services, StatusAnswer, status="ready")


async def get_info(services: ServicesDep) -> Response:
    """Tell what runs here, where it comes from and what it allows."""
    settings, models, library = services.settings, services.models, services.library
    manifest, encoder, towers = models.bundle.manifest, models.encoder, models.towers
    limits = {name: value for name, value in settings.model_dump().items() if "max_" in name}
    return respond(
        services,
        InfoAnswer,
        manifest,
        service={"version": __version__, "provider": encoder.provider},
        encoder={
            "dim": encoder.dim,
            "sample_rate_hz": encoder.sample_rate,
            "precision": encoder.precision,
            "reference_weight": encoder.reference_weight,
        },
        training={"created": manifest.created, **manifest.training.model_dump()},
        library={
            "clips": await services.run_lookup(library.catalog.count),
            "vectors": await services.run_lookup(library.index.n_vectors),
            "revision": await services.run_lookup(library.catalog.revision),
            "not_embedded": await services.run_lookup(library.reembed_queue.n_lacking),
        },
        modifier=towers is not None,
        towers=towers and _towers_body(towers),
        limits=limits,
    )


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


async def get_metrics(services: ServicesDep, counted: MetricsDep) -> Response:
    """Give numbers for Prometheus."""
    counted.clips.set(await services.run_lookup(services.library.catalog.count))
    counted.vectors.set(await services.run_lookup(services.library.index.n_vectors))
    library = services.library
    for part, n_damaged in (await services.run_lookup(library.catalog.count_damaged)).items():
        counted.damaged.labels(part).set(n_damaged)
    for part, n_checked in library.scrub.progress.checked.items():
        counted.scrubbed.labels(part).set(n_checked)
    counted.scrub_completed.set(library.scrub.completed_s)
    return Response(counted.render(), media_type=metrics.CONTENT_TYPE)
