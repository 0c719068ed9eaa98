"""The application: routes, middleware and lifespan put together."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from service import __version__
from service.api.keys import KeyRing
from service.api.middleware.admission import Admission, AdmissionLimits
from service.api.middleware.auth import ApiKeyAuth
from service.api.middleware.body_limit import BodyLimit, BodyLimits, HeadAsGet
from service.api.middleware.cross_site import CrossSiteGuard, SiteRules
from service.api.middleware.disconnect import DisconnectWatcher
from service.api.middleware.telemetry import Telemetry
from service.api.openapi import install_schema
from service.api.problems import METHODS, install_handlers
from service.api.routes import make_routes
from service.catalog.sqlite_version import warn_of_defects
from service.errors import SettingsError
from service.observability.metrics import Metrics
from service.services import Services
from service.settings import Settings

if TYPE_CHECKING:
    from service.observability.tracing import Tracing

logger = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """Return an application that opens its services when its lifespan begins.

    The lifespan raises a `StartupError` if the bundle, the device or the library cannot be opened.

    Raises:
        SettingsError: Traces are switched on and the extra `otel` is not installed.
    """
    metrics = Metrics()
    tracing = _open_tracing() if settings.traces else None
    app = FastAPI(
        title="Minuend",
        summary="Embeds, subtracts and searches sounds.",
        version=__version__,
        lifespan=_lifespan,
        docs_url=None,  # such a page would load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.tracing = tracing
    app.router.routes.extend(make_routes())
    install_handlers(app, on_overload=metrics.refused.inc)
    install_schema(app, needs_key=settings.keys is not None)
    # The last one added is the outermost.
    _add_limits(app, settings, metrics)
    if settings.keys is not None:
        app.add_middleware(ApiKeyAuth, keys=KeyRing(settings.keys))
    if origins := _listed(settings.cors_origins):
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=METHODS, allow_headers=["*"]
        )
    app.add_middleware(CrossSiteGuard, rules=_site_rules(settings, origins))
    app.add_middleware(
        Telemetry, metrics=metrics, provenance=lambda: _provenance(app), tracing=tracing
    )
    return app


def _add_limits(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """Add the limits of requests, bodies and time."""
    app.add_middleware(DisconnectWatcher, deadline_s=settings.deadline_s)
    limits = AdmissionLimits(
        max_requests=settings.max_requests,
        max_bytes=settings.max_pending_bytes,
        undeclared_bytes=settings.max_body_bytes,
        max_wait_s=settings.deadline_s / 3,  # a margin, as responses take longer under load
    )
    app.add_middleware(Admission, limits=limits, on_refusal=metrics.refused.inc)
    body_limits = BodyLimits(
        max_bytes=settings.max_body_bytes,
        pause_s=settings.body_timeout_s,
        min_bytes_per_s=settings.min_body_bytes_per_s,
    )
    app.add_middleware(BodyLimit, limits=body_limits)
    app.add_middleware(HeadAsGet)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    start = time.perf_counter()
    warn_of_defects()
    services = await anyio.to_thread.run_sync(Services.open, app.state.settings, app.state.metrics)
    app.state.services = services
    services.ready = True
    logger.info(
        "ready",
        extra={
            "bundle": services.identity["id"],
            "provider": services.models.encoder.provider,
            "opened_s": round(time.perf_counter() - start, 3),
        },
    )
    try:
        yield
    finally:
        services.ready = False
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(services.close)
            if app.state.tracing is not None:
                await anyio.to_thread.run_sync(app.state.tracing.close)
        logger.info("closed")


def _listed(setting: str) -> list[str]:
    return [item.strip() for item in setting.split(",") if item.strip()]


def _site_rules(settings: Settings, origins: list[str]) -> SiteRules:
    """Return which hosts are answered for; with keys, all are unless some are listed."""
    hosts = _listed(settings.allowed_hosts)
    if not hosts and settings.keys is not None:
        hosts = ["*"]
    return SiteRules.make(hosts=[*hosts, settings.host], origins=origins)


def _open_tracing() -> Tracing:
    try:
        # OpenTelemetry is the optional extra `otel`.
        from service.observability.tracing import Tracing
    except ImportError as error:
        raise SettingsError(
            "traces are enabled by MINUEND_TRACES or an endpoint of OpenTelemetry, and need the"
            " extra `otel`, which is not installed here: pip install 'minuend[otel]'"
        ) from error
    return Tracing.open()


def _provenance(app: FastAPI) -> dict[str, str]:
    identity = app.state.services.identity
    return {"minuend-bundle": identity["id"], "minuend-fingerprint": identity["fingerprint"]}
