"""Page of the calls of the service, from its OpenAPI schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tables import code, table

from service.app import create_app
from service.settings import Settings

HEAD = """\
# Calls

Every call with its fields, its answer and its errors, from the schema that a running service has
at `/openapi.json`. [API](../api.md) has examples. Error codes link to [their
reference](errors.md).
"""
FORM = "multipart/form-data"

Schema = dict[str, Any]


def page() -> str:
    """Return the page."""
    document = create_app(Settings()).openapi()
    models = document["components"]["schemas"]
    sections = [
        _section(f"{method.upper()} {path}", operation, models)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    return "\n".join([HEAD, *sections])


def _section(title: str, operation: Schema, models: Schema) -> str:
    parts = [f"## {title}\n", operation.get("description", operation["summary"]) + "\n"]
    contents = operation.get("requestBody", {}).get("content", {})
    if contents:
        parts.append(f"Body: {', '.join(map(code, contents))}.\n")
    if rows := [*_files(contents), *_lines(contents), *_fields(operation)]:
        parts.append(table(("field", "type", "default", "meaning"), rows))
    parts += _answers(operation["responses"], models)
    return "\n".join(parts)


def _files(contents: Schema) -> Iterable[tuple[str, str, str, str]]:
    properties = contents.get(FORM, {}).get("schema", {}).get("properties", {})
    for name, schema in properties.items():
        if schema.get("format") == "binary":
            yield code(name), "file", "", "Audio."
        elif schema.get("items", {}).get("format") == "binary":
            yield code(name), "files", "", "Audio; may be repeated."


def _lines(contents: Schema) -> Iterable[tuple[str, str, str, str]]:
    """Return the fields of each line of a body of JSON lines."""
    for content in contents.values():
        if "contentSchema" in content["schema"]:
            yield from _properties(content["schema"]["contentSchema"], {})
            return


def _fields(operation: Schema) -> Iterable[tuple[str, str, str, str]]:
    for parameter in operation.get("parameters", []):
        content = parameter.get("content", {}).get("application/json", parameter)
        if parameter["in"] == "query":
            yield _row(parameter["name"], content["schema"] | _about(parameter))


def _about(parameter: Schema) -> Schema:
    return {"description": parameter["description"]} if "description" in parameter else {}


def _answers(responses: Schema, models: Schema) -> Iterable[str]:
    codes = []
    for status, response in responses.items():
        content = response.get("content", {})
        if "application/problem+json" in content:
            _, listed = content["application/problem+json"]["schema"]["allOf"]
            codes += listed["properties"]["code"]["enum"]
            continue
        kinds = ", ".join(map(code, content)) or response.get("description", "")
        yield f"**{status}**: {kinds}\n"
        reference = content.get("application/json", {}).get("schema", {}).get("$ref")
        if reference and (status == "201" or "201" not in responses):
            rows = _properties(_model(reference, models), models)
            yield table(("answer", "type", "meaning"), ((a, b, d) for a, b, _, d in rows))
    links = (f"[{code(name)}](errors.md#{name.replace('_', '-')})" for name in sorted({*codes}))
    yield f"Errors: {', '.join(links)}.\n"


def _properties(
    model: Schema, models: Schema, prefix: str = ""
) -> Iterable[tuple[str, str, str, str]]:
    """Return the rows of a model and its nested models, except of the field `bundle`."""
    for name, schema in model.get("properties", {}).items():
        yield _row(prefix + name, schema)
        inner = next((s["$ref"] for s in _kinds(schema) if "$ref" in s), None)
        of_items = next((s["items"]["$ref"] for s in _kinds(schema) if _holds_models(s)), None)
        if of_items:
            yield from _properties(_model(of_items, models), models, f"{prefix}{name}[].")
        elif inner and prefix + name != "bundle":
            yield from _properties(_model(inner, models), models, f"{prefix}{name}.")


def _holds_models(schema: Schema) -> bool:
    return "$ref" in schema.get("items", {})


def _row(name: str, schema: Schema) -> tuple[str, str, str, str]:
    kinds = [kind for kind in map(_kind, _kinds(schema)) if kind != "null"]
    bounds = [
        f"{word} {kind[key]:g}"
        for kind in _kinds(schema)
        for key, word in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
        )
        if key in kind
    ]
    default = schema.get("default")
    shown = "" if default in (None, {}) else code(default)
    about = [part["description"] for part in (schema, *_kinds(schema)) if "description" in part]
    return code(name), " ".join([" or ".join(kinds), *bounds]), shown, next(iter(about), "")


def _kinds(schema: Schema) -> list[Schema]:
    return schema.get("anyOf") or schema.get("oneOf") or [schema]


def _kind(schema: Schema) -> str:
    if "$ref" in schema:
        return "object"
    if "enum" in schema:
        return " or ".join(map(code, schema["enum"]))
    if "const" in schema:
        return code(schema["const"])
    if nested := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(_kind(kind) for kind in nested)
    if schema.get("contentEncoding") == "base64":
        return "base64"
    kind = {"string": "text", "array": "list", "boolean": "true or false"}
    found = kind.get(schema.get("type", "any"), schema.get("type", "any"))
    return f"list of {_kind(schema['items'])}s" if found == "list" and "items" in schema else found


def _model(reference: str, models: Schema) -> Schema:
    model: Schema = models[reference.rpartition("/")[2]]
    return model
