"""The dictionary of errors: what the classes say, and what to do from `remedies.yaml`."""

from __future__ import annotations

import inspect
from http import HTTPStatus
from pathlib import Path

import yaml
from tables import code, table

from service.api.openapi import error_classes
from service.errors import ServiceError, StartupError
from training.errors import TrainingError

REMEDIES = Path(__file__).with_name("remedies.yaml")

HEAD = """\
# Errors

Every refusal of the service is a problem (RFC 9457) with one of these codes. They stay; branch on
them and not on the text. `detail` says what was wrong with this one request and what is allowed.

"""
STARTUP = """
## When a command or the service cannot start

One line on standard error, exit code 1.

"""
TRAINING = """
## When training stops

One line on standard error, exit code 1.

"""


def page() -> str:
    """Return the page.

    Raises:
        ValueError: What to do is missing for an error, or stands there for none.
    """
    remedies: dict[str, str] = yaml.safe_load(REMEDIES.read_text(encoding="utf-8"))
    answers = sorted(error_classes(ServiceError), key=lambda cls: (cls.status, cls.code))
    starts, stops = _below(StartupError), _below(TrainingError)
    known = {*(cls.code for cls in answers), *(cls.__name__ for cls in (*starts, *stops))}
    if known != set(remedies):
        raise ValueError(f"{REMEDIES.name} and the errors differ in {known ^ set(remedies)}")
    sections = [
        f"### `{cls.code}` {{ #{cls.code.replace('_', '-')} }}\n\n"
        f"**{cls.status} {HTTPStatus(cls.status).phrase}**: {cls.title}. {_meaning(cls)}\n\n"
        f"*What to do:* {remedies[cls.code]}\n"
        for cls in answers
    ]
    index = table(
        ("status", "code", "meaning"),
        (
            (
                str(cls.status),
                f"[{code(cls.code)}](#{cls.code.replace('_', '-')})",
                _meaning(cls),
            )
            for cls in answers
        ),
    )
    answered = [HEAD, index, "\n## One by one\n\n", "\n".join(sections)]
    told = [STARTUP, _named(starts, remedies), TRAINING, _named(stops, remedies)]
    return "".join([*answered, *told])


def _named(classes: list[type[Exception]], remedies: dict[str, str]) -> str:
    rows = [(code(cls.__name__), _meaning(cls), remedies[cls.__name__]) for cls in classes]
    return table(("error", "meaning", "what to do"), rows)


def _below(root: type[Exception]) -> list[type[Exception]]:
    return [cls for cls in root.__subclasses__() if cls.__module__ == root.__module__]


def _meaning(cls: type[Exception]) -> str:
    return (inspect.getdoc(cls) or "").split("\n\n")[0]
