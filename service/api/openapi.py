"""Description of each endpoint in the OpenAPI schema, derived from its form and its errors."""

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
from service.api.forms import Form
from service.api.middleware.auth import is_open, needed_scope
from service.api.problems import MEDIA_TYPE, Problem
from service.audio.errors import AudioError

BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
PROBLEM = {"$ref": "#/components/schemas/Problem"}
KEY = "key"
KEY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key of `minuend key`. Its scope is `read` or `write`, which includes `read`.",
}

ErrorClass = type[errors.ServiceError]
ErrorClasses = tuple[ErrorClass, ...]


def error_classes(root: ErrorClass = errors.ServiceError) -> list[ErrorClass]:
    """Return `root` and its subclasses, if they have their own code, in order of definition."""
    found = [root] if "code" in vars(root) else []
    for below in root.__subclasses__():
        found += error_classes(below)
    return list(dict.fromkeys(found))


ALWAYS: ErrorClasses = (
    errors.InternalError,
    errors.LibraryDamagedError,
    errors.RequestInvalidError,
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.HostForbiddenError,
    errors.CrossSiteError,
    errors.RequestMalformedError,
    errors.HeadTooLargeError,
    errors.HeadTimeoutError,
    errors.OverloadError,
)
READ: ErrorClasses = (errors.DeadlineError, errors.StorageUnavailableError)
"""Of the library, beside `ALWAYS`."""
WRITE: ErrorClasses = (*READ, errors.StorageFullError)
BODY: ErrorClasses = (*WRITE, errors.BodyTooLargeError, errors.BodyTimeoutError)
AUDIO: ErrorClasses = (*error_classes(AudioError), errors.TooManyFilesError, *BODY)


def describe(
    response: type[BaseModel] | None,
    *raised: ErrorClass,
    form: type[Form] | None = None,
    status: int = 200,
    media_types: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the arguments of a route that document it.

    Args:
        response: Model of the JSON response; None if it is not JSON.
        *raised: Its errors, apart from `ALWAYS`.
        form: Fields of its query and, with files, of its body.
        status: Status of the response; 201 stands for 200 as well, where a clip is replaced.
        media_types: Content types of the response beside JSON.
    """
    responses: dict[int | str, dict[str, Any]] = _problems((*raised, *ALWAYS))
    responses[status] = {"content": {name: {"schema": BINARY} for name in media_types}}
    if response is not None:
        responses[status]["model"] = response
    if status == HTTPStatus.CREATED:
        responses[HTTPStatus.OK] = {"model": response, "description": "Replaced"}
    return {
        "responses": responses,
        "openapi_extra": {} if form is None else _request(form),
        "status_code": status,
        "response_class": Response if response is None else JSONResponse,
    }


def ndjson_body(line: type[BaseModel], media_types: Iterable[str]) -> dict[str, Any]:
    """Describe a body of JSON lines."""
    lines = {
        "type": "string",
        "contentMediaType": "application/x-ndjson",
        "contentSchema": line.model_json_schema(),
        "description": "One object of this schema on each line.",
    }
    content = {name: {"schema": lines} for name in media_types}
    return {"requestBody": {"content": content, "required": True}}


def install_schema(app: FastAPI, *, needs_key: bool) -> None:
    """Give `app` an OpenAPI schema that lists the code of every error and the scope of every call.

    Args:
        app: The application.
        needs_key: Whether the service has keys; without, a key is allowed and not needed.
    """

    def schema() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, routes=app.routes)
            problem = Problem.model_json_schema()
            problem["properties"]["code"]["enum"] = [cls.code for cls in error_classes()]
            components = document.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = problem
            components["securitySchemes"] = {KEY: KEY_SCHEME}
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    operation["security"] = _security(method.upper(), path, needs_key=needs_key)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = schema  # type: ignore[method-assign]  # as FastAPI documents it


def _security(method: str, path: str, *, needs_key: bool) -> list[dict[str, list[str]]]:
    """Return the alternatives of a caller to prove its rights; none stands for no key needed."""
    if is_open(path):
        return []
    key: dict[str, list[str]] = {KEY: [needed_scope({"method": method, "path": path})]}
    return [key] if needs_key else [{}, key]


def _problems(raised: Iterable[ErrorClass]) -> dict[int | str, dict[str, Any]]:
    titles: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for cls in raised:
        titles[cls.status][cls.code] = cls.title
    described: dict[int | str, dict[str, Any]] = {}
    for status in sorted(titles):
        codes = sorted(titles[status])
        schema = {"allOf": [PROBLEM, {"properties": {"code": {"enum": codes}}}]}
        lines = "; ".join(f"`{code}` {titles[status][code]}" for code in codes)
        described[status] = {
            "description": f"{HTTPStatus(status).phrase}: {lines}",
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
    return described


def _request(form: type[Form]) -> dict[str, Any]:
    """Describe the query and the body of a request."""
    properties = form.model_json_schema().get("properties", {})
    fields = {name: schema for name, schema in properties.items() if name not in form.files}
    described: dict[str, Any] = {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                **_as_parameter(_as_text(form, name, schema)),
            }
            for name, schema in fields.items()
        ]
    }
    if form.files:
        content = {kind: _body(form, fields, kind) for kind in form.media_types()}
        described["requestBody"] = {"content": content, "required": not form.fields_alone}
    return described


def _body(form: type[Form], fields: dict[str, Any], media_type: str) -> dict[str, Any]:
    described: dict[str, Any] = {"type": "object", "additionalProperties": False}
    if media_type == "application/json":
        return {"schema": {**described, "properties": fields}}
    if media_type not in ("multipart/form-data", "application/x-www-form-urlencoded"):
        return {"schema": BINARY}
    fields = {name: _as_text(form, name, schema) for name, schema in fields.items()}
    as_json = {name: {"contentType": "application/json"} for name in _objects(fields)}
    encoding = {"encoding": as_json} if as_json else {}
    if media_type == "application/x-www-form-urlencoded":
        return {"schema": {**described, "properties": fields}, **encoding}
    # A part with a `contentEncoding` would be a file.
    fields = {
        name: {key: value for key, value in schema.items() if key != "contentEncoding"}
        for name, schema in fields.items()
    }
    many = {"type": "array", "items": BINARY} | ({} if form.fields_alone else {"minItems": 1})
    files = {name: many if name in form.repeatable else BINARY for name in form.files}
    required = {} if form.fields_alone else {"required": list(form.files)}
    return {"schema": {**described, "properties": {**files, **fields}, **required}, **encoding}


def _objects(fields: dict[str, Any]) -> list[str]:
    return [name for name, schema in fields.items() if schema.get("type") == "object"]


def _as_text(form: type[Form], name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field where values are text: without null, and a list if repeatable.

    Instead of null, the field is left out.
    """
    unsaid = {"null"} if name in form.repeatable else {"null", "array"}
    word = "oneOf" if "oneOf" in schema else "anyOf"
    kinds: list[dict[str, Any]] = schema.get(word, [])
    left = [kind for kind in kinds if kind.get("type") not in unsaid]
    if len(left) == len(kinds):
        return schema
    rest = {key: value for key, value in schema.items() if key not in (word, "default")}
    return {**rest, word: left} if len(left) > 1 else _as_text(form, name, {**left[0], **rest})


def _as_parameter(schema: dict[str, Any]) -> dict[str, Any]:
    described = {"description": schema["description"]} if "description" in schema else {}
    kinds = [schema, *schema.get("anyOf", [])]
    if any(kind.get("type") == "object" for kind in kinds):
        return {**described, "content": {"application/json": {"schema": schema}}}
    return {**described, "schema": schema}
