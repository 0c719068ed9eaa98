"""Reader of requests: multipart, urlencoded, JSON object or raw audio become one form.

Fields may also be in the query string. Names that the form does not have are refused, so
that a misspelt field is not ignored.
"""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, BinaryIO, ClassVar, TypeVar, cast

import anyio
import orjson
from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from service.audio.errors import MediaUnsupportedError
from service.concurrency.storage import storage_error, temporary_folder
from service.errors import (
    BodyTooLargeError,
    ClipIdInvalidError,
    KOutOfRangeError,
    PartMissingError,
    RequestInvalidError,
    TooManyFilesError,
    WindowInvalidError,
)

MAX_FIELDS = 64
MAX_FIELD_BYTES = 1024 * 1024
MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_MEMORY_BYTES = 1024 * 1024
"""A raw body stays in memory up to this size; a larger one goes to a temporary file."""

FIELD_ERRORS: dict[str, type[RequestInvalidError]] = {
    "k": KOutOfRangeError,
    **dict.fromkeys(("window_s", "hop_s"), WindowInvalidError),
    **dict.fromkeys(("id", "clip_id", "mixture_id", "reference_id"), ClipIdInvalidError),
}
"""Errors of fields with their own error code; for all others it is `request_invalid`."""

AnyForm = TypeVar("AnyForm", bound="Form")
Items = list[tuple[str, Any]]
"""Named values of a request, unchecked; files are of type `UploadFile`."""


class Form(BaseModel):
    """Base of all forms: fields, and files as fields that hold uploads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that are files."""
    repeatable: ClassVar[frozenset[str]] = frozenset()
    """Names that may be given several times; a field may also be given once with a list."""
    raw: ClassVar[str | None] = None
    """Name of the file field that a raw audio body fills; None if raw audio is not accepted."""
    fields_alone: ClassVar[bool] = False
    """True if a request may consist of fields without a file."""

    @classmethod
    def media_types(cls) -> list[str]:
        """Return the content types of its bodies."""
        typed = ["application/x-www-form-urlencoded", "application/json"]
        raw = ["audio/*", "application/octet-stream"]
        return ["multipart/form-data", *typed * cls.fields_alone, *raw * bool(cls.raw)]


def validate(model: type[AnyForm], items: Iterable[tuple[str, Any]]) -> AnyForm:
    """Check named values by a form.

    Raises:
        PartMissingError: A file is missing, and all else is right.
        RequestInvalidError: A name is unknown or repeated, or a value is not allowed; the class is
            that of the first such name in `FIELD_ERRORS`.
    """
    try:
        return model.model_validate(_gather(model, items))
    except ValidationError as error:
        faults = [(str(fault["loc"][0]), fault["msg"]) for fault in error.errors()]
        if not (of_fields := [fault for fault in faults if fault[0] not in model.files]):
            raise PartMissingError(f"the file part {faults[0][0]!r} is missing") from error
        detail = "; ".join(f"{name}: {message}" for name, message in of_fields)
        raise FIELD_ERRORS.get(of_fields[0][0], RequestInvalidError)(detail) from error


@asynccontextmanager
async def read_form(
    request: Request, model: type[AnyForm], max_files: int
) -> AsyncIterator[AnyForm]:
    """Read a request by its content type; its files are closed on leaving.

    Raises:
        MediaUnsupportedError: The endpoint does not accept this content type.
        TooManyFilesError: There are more files than `max_files`.
        BodyTooLargeError: A JSON body is too large.
        StorageFullError: The temporary folder has no room for its files.
        StorageUnavailableError: The temporary folder cannot be written.
        RequestInvalidError: The body is malformed, or see `validate`.
    """
    async with AsyncExitStack() as opened:
        items = await _read_body(request, model, opened, max_files)
        yield validate(model, items + request.query_params.multi_items())


async def buffer_body(request: Request, opened: AsyncExitStack) -> BinaryIO:
    """Buffer a body in a file, open at its start and closed with `opened`.

    Threads do the writing to the disk.

    Raises:
        StorageFullError: The temporary folder has no room for it.
        StorageUnavailableError: The temporary folder cannot be written.
    """
    with temporary_storage():
        return await _buffer_body(request, opened)


async def _buffer_body(request: Request, opened: AsyncExitStack) -> BinaryIO:
    chunks: list[bytes] = []
    n_bytes, file = 0, None
    async for chunk in request.stream():
        chunks.append(chunk)
        n_bytes += len(chunk)
        if n_bytes > MAX_MEMORY_BYTES:
            if file is None:
                file = opened.enter_context(await anyio.to_thread.run_sync(tempfile.TemporaryFile))
            await anyio.to_thread.run_sync(file.writelines, chunks)
            chunks, n_bytes = [], 0
    if file is None:
        return opened.enter_context(io.BytesIO(b"".join(chunks)))
    await anyio.to_thread.run_sync(file.writelines, chunks)
    await anyio.to_thread.run_sync(file.seek, 0)
    return cast(BinaryIO, file)


@contextmanager
def temporary_storage() -> Iterator[None]:
    """Raise errors of the system about temporary files as errors of the service."""
    try:
        yield
    except OSError as err:
        raise storage_error(err, "the temporary folder of the service", temporary_folder()) from err


def media_type(request: Request) -> str:
    """Return the content type of a body, without parameters; empty if there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _gather(model: type[Form], items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the values by name; a repeatable name gets the list of all its values."""
    values: dict[str, Any] = {}
    for name, value in items:
        is_file = isinstance(value, UploadFile)
        kind = "file part" if is_file else "field"
        if name not in model.model_fields or (name in model.files) != is_file:
            known = [each for each in model.model_fields if (each in model.files) == is_file]
            raise RequestInvalidError(
                f"unknown {kind} {name[:64]!r}; known are {', '.join(known) or 'none'}"
            )
        if name in model.repeatable:
            values.setdefault(name, []).extend(value if isinstance(value, list) else [value])
        elif name in values:
            raise RequestInvalidError(f"the {kind} {name[:64]!r} is given more than once")
        else:
            values[name] = value
    return values


async def _read_body(
    request: Request, model: type[Form], opened: AsyncExitStack, max_files: int
) -> Items:
    kind = media_type(request)
    if kind == "multipart/form-data":
        return await _read_parts(request, opened, max_files, is_multipart=True)
    if kind == "application/x-www-form-urlencoded" and model.fields_alone:
        return await _read_parts(request, opened, max_files, is_multipart=False)
    if kind == "application/json" and model.fields_alone:
        return await _read_json(request)
    if kind.startswith("audio/") or kind in ("application/octet-stream", ""):
        return await _read_raw(request, model, opened, is_typed=kind != "")
    raise _unsupported(kind, model)


async def _read_raw(
    request: Request, model: type[Form], opened: AsyncExitStack, *, is_typed: bool
) -> Items:
    """Read audio; a body without a type may also be empty."""
    if model.raw is not None:
        file = await buffer_body(request, opened)
        is_empty = not file.read(1)
        file.seek(0)
        return [] if is_empty and not is_typed else [(model.raw, UploadFile(file))]
    if is_typed:
        raise _unsupported("raw audio", model)
    async for chunk in request.stream():
        if chunk:
            raise _unsupported("without a content type", model)
    return []


class _TooManyFilesError(MultiPartException):
    """There are more files than allowed."""


class _Parser(MultiPartParser):
    """A multipart parser that counts files, so that too many files raise their own error.

    Its files are closed if it does not succeed.
    """

    file_limit = 0

    async def parse(self) -> FormData:
        try:
            return await super().parse()
        except BaseException:
            for file in self._files_to_close_on_error:
                with suppress(OSError):
                    file.close()
            raise

    def on_part_end(self) -> None:
        super().on_part_end()
        if sum(isinstance(part, UploadFile) for _, part in self.items) > self.file_limit:
            raise _TooManyFilesError("")


async def _read_parts(
    request: Request, opened: AsyncExitStack, max_files: int, *, is_multipart: bool
) -> Items:
    parser: FormParser | _Parser
    limits = {"max_fields": MAX_FIELDS, "max_part_size": MAX_FIELD_BYTES}
    if is_multipart:
        parser = _Parser(request.headers, request.stream(), max_files=math.inf, **limits)
        parser.file_limit = max_files
    else:
        parser = FormParser(request.headers, request.stream(), **limits)
    try:
        with temporary_storage():
            form = await parser.parse()
    except _TooManyFilesError as error:
        raise TooManyFilesError(f"a request has at most {max_files} files") from error
    except MultiPartException as error:
        kind = "multipart" if is_multipart else "urlencoded"
        raise RequestInvalidError(f"{kind}: {error.message}") from error
    opened.push_async_callback(form.close)
    return form.multi_items()


async def _read_json(request: Request) -> Items:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_JSON_BYTES:
            raise BodyTooLargeError(f"a JSON body has at most {MAX_JSON_BYTES} bytes")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestInvalidError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestInvalidError("the JSON body must be an object")
    return list(document.items())


def _unsupported(kind: str, model: type[Form]) -> MediaUnsupportedError:
    return MediaUnsupportedError(f"the body is {kind}; taken are {', '.join(model.media_types())}")
