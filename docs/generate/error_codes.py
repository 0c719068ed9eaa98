"""Page of the errors: docstrings of the classes, and remedies from `remedies.yaml`."""

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

Every error of the service is a problem (RFC 9457) with one of these codes. The codes do not change:
programs should decide by the code and not by the text. `detail` has the fault of the request and
the allowed values.

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
        ValueError: An error has no remedy, or a remedy has no error.
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
    of_requests = [HEAD, index, "\n## Details\n\n", "\n".join(sections)]
    of_programs = [STARTUP, _named(starts, remedies), TRAINING, _named(stops, remedies)]
    return "".join([*of_requests, *of_programs])


def _named(classes: list[type[Exception]], remedies: dict[str, str]) -> str:
    rows = [(code(cls.__name__), _meaning(cls), remedies[cls.__name__]) for cls in classes]
    return table(("error", "meaning", "what to do"), rows)


def _below(root: type[Exception]) -> list[type[Exception]]:
    return [cls for cls in root.__subclasses__() if cls.__module__ == root.__module__]


def _meaning(cls: type[Exception]) -> str:
    return (inspect.getdoc(cls) or "").split("\n\n")[0]
