"""Page of the settings of the service, from the fields of `service.settings.Settings`."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from tables import code, table

from service.settings import PREFIX, Settings

HEAD = """\
# Settings

Environment variables of the service; the options of `minuend serve` override them. The service does
not start if there is another variable that begins with `MINUEND_`. An empty variable counts as not
set.

"""


def page() -> str:
    """Return the page."""
    rows = [
        (code(PREFIX + name.upper()), code(_default(field)), _allowed(field), field.description)
        for name, field in Settings.model_fields.items()
    ]
    return HEAD + table(("variable", "default", "allowed", "meaning"), rows)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool | Enum) else str(value)


def _allowed(field: FieldInfo) -> str:
    kind: Any = field.annotation
    if get_origin(kind) is Literal:
        return ", ".join(map(code, get_args(kind)))
    if kind is bool:
        return "`true`, `false`"
    bounds = {
        word: getattr(rule, name)
        for name, word in (("ge", "from"), ("gt", "above"), ("le", "to"))
        for rule in field.metadata
        if getattr(rule, name, None) is not None
    }
    return " ".join(f"{word} {int(bound):,}" for word, bound in bounds.items())
