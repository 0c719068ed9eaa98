from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from service import errors


def _descendants(cls: type[errors.ServiceError]) -> Iterator[type[errors.ServiceError]]:
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from _descendants(child)


CODED = [cls for cls in _descendants(errors.ServiceError) if hasattr(cls, "code")]


def test_the_drawn_tree_is_the_class_tree() -> None:
    drawn = re.findall(r"^    ([│ ├└─]*)(\w+Error)", errors.__doc__ or "", re.MULTILINE)
    depths = [(len(prefix) // 3, name) for prefix, name in drawn]
    actual: list[tuple[int, str]] = []

    def walk(cls: type[Exception], depth: int) -> None:
        actual.append((depth, cls.__name__))
        for child in cls.__subclasses__():
            if child.__module__ == errors.__name__:
                walk(child, depth + 1)

    walk(errors.ServiceError, 0)
    walk(errors.StartupError, 0)
    assert sorted(depths) == sorted(actual)


def test_the_drawn_statuses_and_codes_are_those_of_the_classes() -> None:
    drawn = re.findall(r"(\w+Error) +(\d{3})  (\w+)", errors.__doc__ or "")
    actual = {(cls.__name__, str(cls.status), cls.code) for cls in CODED}
    assert set(drawn) == actual


@pytest.mark.parametrize("attribute", ["code", "title"])
def test_no_two_errors_share_a_code_or_a_title(attribute: str) -> None:
    values = [getattr(cls, attribute) for cls in CODED]
    assert len(values) == len(set(values))


@pytest.mark.parametrize("cls", [cls for cls in CODED if issubclass(cls, errors.ClientError)])
def test_a_client_error_has_a_4xx_status_and_keeps_its_detail(
    cls: type[errors.ClientError],
) -> None:
    error = cls("k is 0; 1 to 1000 are allowed")
    assert 400 <= error.status < 500
    assert error.detail == str(error) == "k is 0; 1 to 1000 are allowed"


def test_every_startup_error_ends_the_process_with_one() -> None:
    assert {cls.exit_code for cls in errors.StartupError.__subclasses__()} == {1}
