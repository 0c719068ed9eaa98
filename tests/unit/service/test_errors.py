from __future__ import annotations

from collections.abc import Iterator

import pytest

from service import errors


def _descendants(cls: type[errors.ServiceError]) -> Iterator[type[errors.ServiceError]]:
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from _descendants(child)


CODED = [cls for cls in _descendants(errors.ServiceError) if hasattr(cls, "code")]


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


def test_every_startup_error_has_exit_code_one() -> None:
    assert {cls.exit_code for cls in errors.StartupError.__subclasses__()} == {1}
