"""What commands print: hits and unreadable files, for people or as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from service.clips import ClipRecord
    from service.library.file_reader import Unreadable
    from service.library.hits import Hit
    from service.retrieval.searcher import RankedHit

UNREADABLE_EXIT_CODE = 3
"""Of a command that did what it could, but could not read some of the files."""

_PLACES = ("name", "folder")
_SHOWN = 60  # characters of the metadata of a hit in a table


def quiet(text: str = "") -> None:
    """Print nothing of what is for people."""


def json_text(body: dict[str, Any]) -> str:
    """Return a JSON object as text; arrays in it become lists of numbers."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(body, option=options).decode()


def hit_body(ranked: RankedHit) -> dict[str, Any]:
    """Return a hit for JSON: as the service answers it, with the path of the audio."""
    from service.api.response_models import hit_body as response_body

    body = response_body(ranked) | {"path": ranked.hit.record.path}
    del body["audio"]
    return body


def shown_path(path: Path) -> str:
    """Return a path as seen from here if it is below, for people to read."""
    here = Path.cwd()
    return click.format_filename(path.relative_to(here) if path.is_relative_to(here) else path)


def tell_hits(hits: Sequence[RankedHit]) -> None:
    """Print a line for each hit: rank, score, length, id, where it is, and its metadata.

    Of a long clip, the place of the hit in it stands where the length stands otherwise. Where a
    score is made of several terms, what each of them gave stands after it.
    """
    if not hits:
        click.echo("no hits")
    for rank, ranked in enumerate(hits, start=1):
        record = ranked.hit.record
        span = _span(ranked.hit)
        columns = (record.id, _place(record), _metadata(record))
        score = f"{ranked.hit.score:7.3f}{_terms(ranked)}"
        click.echo(f"{rank:3} {score} {span:>8}  {'  '.join(columns)}".rstrip())


def tell_unreadable(unreadable: Sequence[Unreadable]) -> None:
    """List files and what is wrong with them on standard error."""
    if not unreadable:
        return
    noun = "file" if len(unreadable) == 1 else "files"
    click.echo(f"{len(unreadable)} {noun} could not be read:", err=True)
    for item in unreadable:
        click.echo(f"  {click.format_filename(item.path)}: {item.reason}", err=True)


def unreadable_bodies(unreadable: Sequence[Unreadable]) -> list[dict[str, str]]:
    """Return files and what is wrong with them for JSON."""
    return [
        {"path": click.format_filename(item.path), "code": item.code, "reason": item.reason}
        for item in unreadable
    ]


def _span(hit: Hit) -> str:
    """Return the length of a clip or, of a long one, from where to where the hit is."""
    if hit.start_s is None or hit.end_s is None:
        return ""
    if not hit.record.windows:
        return f"{hit.end_s:.1f} s"
    return f"{_clock(hit.start_s)}-{_clock(hit.end_s)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _terms(ranked: RankedHit) -> str:
    """Return what the terms of a score gave if there are several."""
    if len(ranked.contributions) == 1:
        return ""
    terms = (f"{name} {share:6.3f}" for name, share in ranked.contributions.items())
    return f"  ({', '.join(terms)})"


def _place(record: ClipRecord) -> str:
    """Return where a clip that is read in place lies, and the name of any other."""
    if record.source == "referenced" and record.path is not None:
        return shown_path(Path(record.path))
    return str(record.metadata.get("name", ""))


def _metadata(record: ClipRecord) -> str:
    """Return what of the metadata fits into a line, without what the place says already."""
    entries = (f"{name}={value}" for name, value in record.metadata.items() if name not in _PLACES)
    text = " ".join(" ".join(entries).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
