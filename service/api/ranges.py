"""The part of a file that a request asks for: Range and If-Range (RFC 9110, 13.1.5 and 14)."""

from __future__ import annotations

import re

from starlette.datastructures import Headers

from service.errors import RangeInvalidError

_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_LARGEST = 10**18


def requested_range(headers: Headers, size_bytes: int, tag: str) -> range | None:
    """Return the positions of the bytes to send; None for the whole file.

    As the standard says, the header is ignored if its unit is not known, if it is malformed, or if
    If-Range names other content. It is also ignored if several parts of the file are asked for.

    Args:
        headers: Headers of the request.
        size_bytes: Size of the file [bytes].
        tag: Entity tag of the file, without quotes.

    Raises:
        RangeInvalidError: All that is asked for lies beyond the end of the file.
    """
    given = headers.getlist("range")
    condition = headers.get("if-range")
    if len(given) != 1 or condition not in (None, f'"{tag}"'):
        return None
    unit, _, specs = given[0].partition("=")
    asked = _parse(specs, size_bytes) if unit.lower() == "bytes" else None
    if not asked:
        return None
    if not (parts := [part for part in asked if part]):
        raise RangeInvalidError(f"the range lies beyond the {size_bytes} bytes of the file")
    return parts[0] if len(parts) == 1 else None


def _parse(specs: str, size_bytes: int) -> list[range] | None:
    """Return each part of a set, which is empty if it is not in the file; None if malformed."""
    parts = []
    for spec in filter(None, (spec.strip(" \t") for spec in specs.split(","))):
        match = _SPEC.fullmatch(spec)
        if match is None or spec == "-":
            return None
        first, last = (_number(digits) for digits in match.groups())
        if first is None:
            parts.append(range(max(size_bytes - (last or 0), 0), size_bytes))
        elif last is None:
            parts.append(range(first, size_bytes))
        elif last < first:
            return None
        else:
            parts.append(range(first, min(last + 1, size_bytes)))
    return parts


def _number(digits: str) -> int | None:
    """Return a number, or one beyond any file if it has more digits than Python converts."""
    if not digits:
        return None
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= 18 else _LARGEST
