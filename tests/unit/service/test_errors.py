from __future__ import annotations

from collections.abc import Iterator

import pytest

from service import errors


def _descendants(cls: type[errors.ServiceError]) -> Iterator[type[errors.ServiceError]]:
    for child in cls.__subclasses__():
        if child.__module__.startswith("service."):
            yield child
            yield from _descendants(child)


CODED = [cls for cls in _descendants(errors.ServiceError) if hasattr(cls, "code")]


@pytest.mark.parametrize("attribute", ["code", "title"])
def test_no_two_errors_share_a_code_or_a_title(attribute: str) -> None:
    values = [getattr(cls, attribute) for cls in CODED]
    assert len(values) == len(set(values))
