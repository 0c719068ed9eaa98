"""One reader for what clients send: multipart, urlencoded, a JSON object or a raw audio body.

Whatever the kind, a request becomes files by part name and validated fields by name; the fields
may also stand in the query string. Names that an endpoint does not know are refused, so that a
misspelt one is not silently ignored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel

from service.api.bodies import Parts, Upload, read_json, read_multipart, read_urlencoded, spool
from service.api.request_models import validate
from service.errors import MediaUnsupportedError, PartMissingError, RequestInvalidError

Fields = TypeVar("Fields", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Shape(Generic[Fields]):
    """What an endpoint takes.

    Attributes:
        fields: The model of its fields.
        files: The names of its file parts.
        repeatable: The file parts that may come more than once.
        raw: The file part that a raw audio body stands for; None where there is no such body.
        fields_alone: Whether a request without any file can be complete.
    """

    fields: type[Fields]
    files: tuple[str, ...] = ()
    repeatable: tuple[str, ...] = ()
    raw: str | None = None
    fields_alone: bool = False

    @property
    def media_types(self) -> list[str]:
        """The content types of its bodies."""
        typed = ["application/x-www-form-urlencoded", "application/json"]
        raw = ["audio/*", "application/octet-stream"]
        return ["multipart/form-data", *typed * self.fields_alone, *raw * bool(self.raw)]


@dataclass(frozen=True, slots=True)
class Form(Generic[Fields]):
    """A request that was read and checked."""

    fields: Fields
    files: Mapping[str, list[Upload]]

    def file(self, name: str) -> Upload | None:
        """Return the first file of a part, None without one."""
        return next(iter(self.files[name]), None)

    def required(self, name: str) -> list[Upload]:
        """Return the files of a part.

        Raises:
            PartMissingError: The request has none.
        """
        if not self.files[name]:
            raise PartMissingError(f"the file part {name!r} is missing")
        return self.files[name]


@asynccontextmanager
async def read_form(
    request: Request, shape: Shape[Fields], *, max_files: int
) -> AsyncIterator[Form[Fields]]:
    """Read a request by its content type; its files are closed on leaving.

    Raises:
        MediaUnsupportedError: The endpoint does not take this content type.
        TooManyFilesError: There are more files than `max_files`.
        BodyTooLargeError: A JSON body is too large.
        RequestInvalidError: A name is unknown or repeated, or a value is not allowed.
    """
    with ExitStack() as opened:
        parts = await _read_body(request, shape, opened, max_files=max_files)
        fields = validate(shape.fields, parts.values + request.query_params.multi_items())
        yield Form(fields, _files(parts, shape))


async def _read_body(
    request: Request, shape: Shape[Fields], opened: ExitStack, *, max_files: int
) -> Parts:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return await read_multipart(request, opened, max_files=max_files)
    if media_type == "application/x-www-form-urlencoded" and shape.fields_alone:
        return await read_urlencoded(request)
    if media_type == "application/json" and shape.fields_alone:
        return await read_json(request)
    if media_type.startswith("audio/") or media_type in ("application/octet-stream", ""):
        return await _read_raw(request, shape, opened, typed=bool(media_type))
    raise _unsupported(media_type, shape)


async def _read_raw(
    request: Request, shape: Shape[Fields], opened: ExitStack, *, typed: bool
) -> Parts:
    file = await spool(request.stream(), opened)
    if not typed and not file.read(1):
        return Parts()
    file.seek(0)
    if shape.raw is None:
        raise _unsupported("raw audio" if typed else "without a content type", shape)
    return Parts(files=[(shape.raw, Upload(file))])


def _files(parts: Parts, shape: Shape[Fields]) -> dict[str, list[Upload]]:
    files: dict[str, list[Upload]] = {name: [] for name in shape.files}
    for name, upload in parts.files:
        if name not in files:
            raise RequestInvalidError(
                f"unknown file part {name[:64]!r}; known are {_listed(shape.files)}"
            )
        if files[name] and name not in shape.repeatable:
            raise RequestInvalidError(f"the file part {name!r} is given more than once")
        files[name].append(upload)
    return files


def _unsupported(kind: str, shape: Shape[Fields]) -> MediaUnsupportedError:
    return MediaUnsupportedError(f"the body is {kind}; taken are {_listed(shape.media_types)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
