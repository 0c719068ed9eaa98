"""Requests of all calls, and parsers of their answers, without any network access."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar, cast
from urllib.parse import quote

from minuend_client import models
from minuend_client.models import BulkResult, Clip, ClipPage, Difference, Embedding, SearchResult

T = TypeVar("T")
Audio = bytes | str | Path | BinaryIO
"""Audio to send: the bytes of a file, its path, or an open file that can be rewound."""

BULK_CLIPS = 1000
"""Vectors in one request of a bulk upload; each request is durable when it is answered."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and the parser of its answer.

    Attributes:
        method: HTTP method.
        path: Path below the base address.
        parse: Makes the result from the JSON of the answer, or from None if there is no JSON.
        parameters: Parameters of the query string.
        fields: Text fields of the form.
        files: File parts of the form, in order.
        content: A body that is not a form.
        media_type: Media type of ``content``.
    """

    method: str
    path: str
    parse: Callable[[Any], T]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    files: Sequence[tuple[str, Audio]] = ()
    content: bytes | None = None
    media_type: str | None = None

    def arguments(self, opened: ExitStack) -> dict[str, Any]:
        """Return the arguments of an httpx request; each attempt opens the files again."""
        arguments: dict[str, Any] = {"params": dict(self.parameters)}
        if self.content is not None:
            arguments |= {
                "content": self.content,
                "headers": {"content-type": self.media_type or "application/json"},
            }
        elif self.files:
            parts = [(name, _part(audio, opened)) for name, audio in self.files]
            arguments |= {"files": parts, "data": dict(self.fields)}
        elif self.fields:
            arguments["data"] = dict(self.fields)
        return arguments


def embed(
    audio: Sequence[Audio], *, window_s: float | None, hop_s: float | None
) -> Call[tuple[Embedding, ...]]:
    """POST /embed."""
    return Call(
        "POST",
        "/embed",
        lambda body: tuple(map(models.parse_embedding, body["embeddings"])),
        fields=_fields(encoding="base64", window_s=window_s, hop_s=hop_s),
        files=[("audio", one) for one in audio],
    )


def difference(
    mixture: Audio | None, references: Sequence[Audio], **fields: Any
) -> Call[Difference]:
    """POST /difference; mixture and references are files, or stored clips by their ids."""
    ids = fields.pop("reference_id", None)
    several_ids = {} if ids is None else {"reference_id": [ids] if isinstance(ids, str) else ids}
    return Call(
        "POST",
        "/difference",
        models.parse_difference,
        fields=_fields(encoding="base64", **fields) | several_ids,
        files=[*_given({"mixture": mixture}), *(("reference", one) for one in references)],
    )


def search(sounds: Mapping[str, Audio | None], **fields: Any) -> Call[SearchResult]:
    """POST /search."""
    if (vector := fields.pop("embedding", None)) is not None:
        fields["embedding"] = models.to_base64(vector)
    return Call(
        "POST", "/search", models.parse_search, fields=_fields(**fields), files=_given(sounds)
    )


def add_clip(audio: Audio, clip_id: str | None, metadata: Mapping[str, Any] | None) -> Call[Clip]:
    """POST /clips or PUT /clips/{id}."""
    method, path = ("POST", "/clips") if clip_id is None else ("PUT", clip_path(clip_id))
    return Call(
        method,
        path,
        models.parse_clip,
        fields=_fields(metadata=metadata or {}),
        files=[("audio", audio)],
    )


def get_clip(clip_id: str) -> Call[Clip]:
    """GET /clips/{id}."""
    return Call("GET", clip_path(clip_id), models.parse_clip)


def delete_clip(clip_id: str) -> Call[None]:
    """DELETE /clips/{id}."""
    return Call("DELETE", clip_path(clip_id), lambda _: None)


def list_clips(cursor: str | None, limit: int, filter: Mapping[str, Any] | None) -> Call[ClipPage]:
    """GET /clips."""
    return Call(
        "GET",
        "/clips",
        models.parse_page,
        parameters=_fields(cursor=cursor, limit=limit, filter=filter),
    )


def info() -> Call[dict[str, Any]]:
    """GET /info."""
    return Call("GET", "/info", dict)


def add_vectors(clips: Sequence[models.VectorClip], fingerprint: str) -> Call[BulkResult]:
    """POST /clips/bulk: one request of precomputed embeddings."""
    lines = [
        json.dumps(
            {
                "id": clip.id,
                "embedding": models.to_base64(clip.embedding),
                "fingerprint": fingerprint,
                "metadata": dict(clip.metadata),
            }
        )
        for clip in clips
    ]
    return Call(
        "POST",
        "/clips/bulk",
        models.parse_bulk,
        content="\n".join(lines).encode(),
        media_type="application/x-ndjson",
    )


def batches(clips: Iterable[models.VectorClip]) -> Iterator[list[models.VectorClip]]:
    """Divide a stream of vectors into those of single requests."""
    stream = iter(clips)
    while batch := list(islice(stream, BULK_CLIPS)):
        yield batch


def clip_path(clip_id: str) -> str:
    """Return the path of a clip."""
    return f"/clips/{quote(clip_id, safe='')}"


def several(audio: Audio | Sequence[Audio] | None) -> list[Audio]:
    """Return no file, one file or several files as a list."""
    if audio is None:
        return []
    if isinstance(audio, list | tuple):
        return list(audio)
    return [cast(Audio, audio)]


def _given(sounds: Mapping[str, Audio | None]) -> list[tuple[str, Audio]]:
    return [(name, audio) for name, audio in sounds.items() if audio is not None]


def _fields(**values: Any) -> dict[str, str | Sequence[str]]:
    """Convert values to form fields, without those that are None."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if value is not None
    }


def _part(audio: Audio, opened: ExitStack) -> tuple[str, bytes | BinaryIO]:
    if isinstance(audio, bytes):
        return "audio", audio
    if isinstance(audio, str | Path):
        path = Path(audio)
        return path.name, opened.enter_context(path.open("rb"))
    audio.seek(0)
    return Path(str(getattr(audio, "name", "audio"))).name, audio
