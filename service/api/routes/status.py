"""Liveness, readiness, description and metrics of the service."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from service import __version__
from service.api.openapi import READ, describe
from service.api.response_models import InfoAnswer, StatusAnswer
from service.api.responses import respond
from service.api.routes.dependencies import MetricsDep, ServicesDep
from service.concurrency.storage import free_bytes, temporary_folder
from service.errors import NotReadyError
from service.inference.towers import Towers
from service.library.library import Library
from service.observability import metrics
from service.observability.metrics import Metrics
from service.services import PARTS, Services


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["status"])
    router.get("/healthz", **describe(StatusAnswer))(get_health)
    router.get("/readyz", **describe(StatusAnswer, NotReadyError))(get_readiness)
    router.get("/info", **describe(InfoAnswer, *READ))(get_info)
    router.get("/metrics", **describe(None, media_types=("text/plain",)))(get_metrics)
    return router


async def get_health(services: ServicesDep) -> Response:
    """Tell that the process answers; a full queue does not change that."""
    return respond(services, StatusAnswer, status="live")


async def get_readiness(services: ServicesDep) -> Response:
    """Tell whether requests are welcome: all parts work, and the library can be written.

    Otherwise `parts` says which part does not work, and why. A full disk is no such fault, as
    searches and deletions work; see `minuend_free_bytes`.
    """
    services.check_ready()
    if faults := await services.threads.probes.run(services.faults):
        detail = "; ".join(f"{part}: {reason}" for part, reason in faults.items())
        raise NotReadyError(detail, parts=faults)
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
        library=await services.threads.scans.run(_library_body, library),
        modifier=towers is not None,
        towers=towers and _towers_body(towers),
        limits=limits,
    )


def _library_body(library: Library) -> dict[str, int]:
    return {
        "clips": library.catalog.count(),
        "vectors": library.index.n_vectors(),
        "revision": library.catalog.revision(),
        "not_embedded": library.reembed_queue.n_lacking(),
    }


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
    await services.threads.probes.run(_measure, services, counted)
    return Response(counted.render(), media_type=metrics.CONTENT_TYPE)


def _measure(services: Services, counted: Metrics) -> None:
    faults = services.faults()
    for part in PARTS:
        counted.part_works.labels(part).set(part not in faults)
    counted.free.labels("library").set(_free_bytes(services.settings.library))
    counted.free.labels("temporary").set(_free_bytes(temporary_folder()))
    if "catalogue" not in faults:
        counted.clips.set(services.library.catalog.count())
        counted.vectors.set(services.library.index.n_vectors())
        for part, n_damaged in services.library.catalog.count_damaged().items():
            counted.damaged.labels(part).set(n_damaged)
    scrub = services.library.scrub
    for part, n_checked in scrub.progress.checked.items():
        counted.scrubbed.labels(part).set(n_checked)
    counted.scrub_completed.set(scrub.completed_s)


def _free_bytes(folder: Path) -> float:
    try:
        return free_bytes(folder)
    except OSError:  # such as a volume that is gone
        return math.nan
