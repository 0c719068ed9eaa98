"""POST /clips/bulk: precomputed embeddings in, as lines of JSON."""

from __future__ import annotations

from contextlib import ExitStack
from typing import BinaryIO

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.answers import BulkAnswer
from service.bodies import spool
from service.core import Core
from service.errors import (
    ClipIdInvalidError,
    EmbeddingInvalidError,
    FingerprintMismatchError,
    MediaUnsupportedError,
    MetadataInvalidError,
)
from service.openapi import BODY, describe, ndjson_body
from service.responses import answer
from service.routes.dependencies import CoreDep, PhasesDep
from service.schemas import BulkLine
from service.timing import Phases

MEDIA_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
ERRORS = (
    *BODY,
    ClipIdInvalidError,
    EmbeddingInvalidError,
    FingerprintMismatchError,
    MediaUnsupportedError,
    MetadataInvalidError,
)


def make_router() -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["library"])
    described = describe(BulkAnswer, *ERRORS)
    described["openapi_extra"] = ndjson_body(BulkLine, MEDIA_TYPES)
    router.post("/clips/bulk", **described)(post_bulk)
    return router


async def post_bulk(request: Request, core: CoreDep, phases: PhasesDep) -> Response:
    """Store vectors that were computed elsewhere by the same encoder: all lines or none.

    Faulty lines are told together, each by its number.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise MediaUnsupportedError(
            f"the body is {media_type or 'without a content type'}; taken are"
            f" {', '.join(MEDIA_TYPES)}"
        )
    with ExitStack() as opened:
        file = await spool(request.stream(), opened)
        written = await core.work(_store, core, file, phases)
    created = sum(is_new for is_new in written)
    return answer(core, {"created": created, "updated": len(written) - created})


def _store(core: Core, file: BinaryIO, phases: Phases) -> list[bool]:
    with phases.measure("decode"):
        clips = core.bulk.read(file)
    with phases.measure("store"):
        written = core.library.put_many(clips)
    core.library.follow()
    return [is_new for _, is_new in written]
