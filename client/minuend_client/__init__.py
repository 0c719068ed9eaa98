"""Client of Minuend: embed, subtract and search sounds over HTTP, also asynchronously."""

from __future__ import annotations

from minuend_client.aio import AsyncClient
from minuend_client.client import Client
from minuend_client.errors import MinuendError, ProblemError, UnreachableError
from minuend_client.models import (
    BulkResult,
    Changed,
    ChangeSide,
    Clip,
    ClipPage,
    CurvePoint,
    Difference,
    Direction,
    Embedding,
    Hit,
    Notice,
    Phrase,
    SearchResult,
    UnderstoodSound,
    Upload,
    VectorClip,
    Window,
)
from minuend_client.retry import Retry

__all__ = [
    "AsyncClient",
    "BulkResult",
    "ChangeSide",
    "Changed",
    "Client",
    "Clip",
    "ClipPage",
    "CurvePoint",
    "Difference",
    "Direction",
    "Embedding",
    "Hit",
    "MinuendError",
    "Notice",
    "Phrase",
    "ProblemError",
    "Retry",
    "SearchResult",
    "UnderstoodSound",
    "UnreachableError",
    "Upload",
    "VectorClip",
    "Window",
]
