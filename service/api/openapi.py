"""What the OpenAPI schema says of each endpoint, derived from the shapes that read its requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from service import errors
from service.api.forms import Shape
from service.api.problems import MEDIA_TYPE
from service.api.response_models import Problem

BINARY = {"type": "string", "format": "binary"}
PROBLEM = {"$ref": "#/components/schemas/Problem"}

ErrorClass = type[errors.ServiceError]


def error_classes(root: ErrorClass = errors.ServiceError) -> list[ErrorClass]:
    """Return every class below `root` that has a code of its own, in the order they stand."""
    found = [root] if "code" in vars(root) else []
    for below in root.__subclasses__():
        found += error_classes(below)
    return list(dict.fromkeys(found))


ALWAYS: tuple[ErrorClass, ...] = (
    errors.InternalError,
    errors.RequestInvalidError,
    errors.UnauthorizedError,
    errors.ForbiddenError,
)
BODY: tuple[ErrorClass, ...] = (
    errors.BodyTooLargeError,
    errors.BodyTimeoutError,
    errors.OverloadError,
    errors.DeadlineError,
)
AUDIO: tuple[ErrorClass, ...] = (
    *error_classes(errors.AudioError),
    errors.TooManyFilesError,
    *BODY,
)


def describe(
    answer: type[BaseModel] | None,
    *raised: ErrorClass,
    shape: Shape[Any] | None = None,
    status: int = 200,
    media_types: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the arguments by which a route documents itself.

    Args:
        answer: Model of the answer as JSON; None if it is not JSON.
        *raised: The errors that it may give, apart from `ALWAYS`.
        shape: What it takes in its body and its query; the query alone if there are no files.
        status: Status of the answer; one that creates, 201, may also replace, 200.
        media_types: What else than JSON the answer may be.
    """
    responses: dict[int | str, dict[str, Any]] = _problems((*raised, *ALWAYS))
    responses[status] = {"content": {name: {"schema": BINARY} for name in media_types}}
    if answer is not None:
        responses[status]["model"] = answer
    if status == HTTPStatus.CREATED:
        responses[HTTPStatus.OK] = {"model": answer, "description": "Replaced"}
    extra: dict[str, Any] = {}
    if shape is not None:
        extra["parameters"] = _parameters(shape)
        if shape.files:
            required = not shape.fields_alone
            extra["requestBody"] = {"content": _contents(shape), "required": required}
    return {
        "responses": responses,
        "openapi_extra": extra,
        "status_code": status,
        "response_class": Response if answer is None else JSONResponse,
    }


def ndjson_body(line: type[BaseModel], media_types: Iterable[str]) -> dict[str, Any]:
    """Return the description of a body of JSON lines."""
    lines = {
        "type": "string",
        "contentMediaType": "application/x-ndjson",
        "contentSchema": line.model_json_schema(),
        "description": "One object of this schema on each line.",
    }
    content = {name: {"schema": lines} for name in media_types}
    return {"requestBody": {"content": content, "required": True}}


def install_schema(app: FastAPI) -> None:
    """Let `app` describe itself, with the problem of every error."""

    def schema() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, routes=app.routes)
            problem = Problem.model_json_schema()
            problem["properties"]["code"]["enum"] = [cls.code for cls in error_classes()]
            components = document.setdefault("components", {}).setdefault("schemas", {})
            components["Problem"] = problem
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = schema  # type: ignore[method-assign]  # as FastAPI documents it


def _problems(raised: Iterable[ErrorClass]) -> dict[int | str, dict[str, Any]]:
    by_status: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for cls in raised:
        by_status[cls.status][cls.code] = cls.title
    return {
        status: {
            "description": f"{HTTPStatus(status).phrase}: "
            + "; ".join(f"`{code}` {title}" for code, title in sorted(titles.items())),
            "content": {
                MEDIA_TYPE: {
                    "schema": {
                        "allOf": [PROBLEM, {"properties": {"code": {"enum": sorted(titles)}}}]
                    }
                }
            },
        }
        for status, titles in sorted(by_status.items())
    }


def _contents(shape: Shape[Any]) -> dict[str, Any]:
    fields = _field_schemas(shape)
    many = {"type": "array", "items": BINARY}
    files: dict[str, Any] = {
        name: many if name in shape.repeatable else BINARY for name in shape.files
    }
    contents: dict[str, Any] = {}
    schema: dict[str, Any]
    for media_type in shape.media_types:
        if media_type == "multipart/form-data":
            schema = {"type": "object", "properties": {**files, **fields}}
            if not shape.fields_alone:
                schema["required"] = list(shape.files)
        elif media_type in ("application/json", "application/x-www-form-urlencoded"):
            schema = {"type": "object", "properties": fields, "additionalProperties": False}
        else:
            schema = BINARY
        contents[media_type] = {"schema": schema}
    return contents


def _parameters(shape: Shape[Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, **_as_parameter(schema)}
        for name, schema in _field_schemas(shape).items()
    ]


def _as_parameter(schema: dict[str, Any]) -> dict[str, Any]:
    described = {"description": schema["description"]} if "description" in schema else {}
    kinds = [schema, *schema.get("anyOf", [])]
    if any(kind.get("type") == "object" for kind in kinds):
        return {**described, "content": {"application/json": {"schema": schema}}}
    return {**described, "schema": schema}


def _field_schemas(shape: Shape[Any]) -> dict[str, Any]:
    properties: dict[str, Any] = shape.fields.model_json_schema().get("properties", {})
    return properties
