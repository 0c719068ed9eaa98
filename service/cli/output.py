"""Output of commands: hits and unreadable files, as lines or as JSON."""

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
"""Exit code of a command that has done its work, except for some files that it could not read."""

_LOCATION_FIELDS = ("name", "folder")
_MAX_METADATA_CHARACTERS = 60


def quiet(text: str = "") -> None:
    """Print nothing; used instead of `click.echo` with --json."""


def json_text(body: dict[str, Any]) -> str:
    """Format a JSON object; arrays in it become lists of numbers."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(body, option=options).decode()


def hit_body(ranked: RankedHit) -> dict[str, Any]:
    """Return the JSON of a hit: that of the HTTP API with the path of the audio, not its URL."""
    from service.api.response_models import hit_body as response_body

    body = response_body(ranked) | {"path": ranked.hit.record.path}
    del body["audio"]
    return body


def shown_path(path: Path) -> str:
    """Return a printable path, relative to the working directory if it is below that."""
    here = Path.cwd()
    return click.format_filename(path.relative_to(here) if path.is_relative_to(here) else path)


def print_hits(hits: Sequence[RankedHit]) -> None:
    """Print a line for each hit: rank, score, duration, id, path or name, and metadata.

    If a score has several terms, their contributions follow the score. For a clip with windows,
    the times of the best window are printed instead of the duration.
    """
    if not hits:
        click.echo("no hits")
    for rank, ranked in enumerate(hits, start=1):
        record = ranked.hit.record
        times = _format_times(ranked.hit)
        columns = (record.id, _format_location(record), _format_metadata(record))
        score = f"{ranked.hit.score:7.3f}{_format_terms(ranked)}"
        click.echo(f"{rank:3} {score} {times:>8}  {'  '.join(columns)}".rstrip())


def print_unreadable(unreadable: Sequence[Unreadable]) -> None:
    """Print files that could not be read, and the reasons, on standard error."""
    if not unreadable:
        return
    noun = "file" if len(unreadable) == 1 else "files"
    click.echo(f"{len(unreadable)} {noun} could not be read:", err=True)
    for item in unreadable:
        click.echo(f"  {click.format_filename(item.path)}: {item.reason}", err=True)


def unreadable_bodies(unreadable: Sequence[Unreadable]) -> list[dict[str, str]]:
    """Return the JSON of files that could not be read."""
    return [
        {"path": click.format_filename(item.path), "code": item.code, "reason": item.reason}
        for item in unreadable
    ]


def _format_times(hit: Hit) -> str:
    if hit.start_s is None or hit.end_s is None:
        return ""
    if not hit.record.windows:
        return f"{hit.end_s:.1f} s"
    return f"{_clock(hit.start_s)}-{_clock(hit.end_s)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _format_terms(ranked: RankedHit) -> str:
    if len(ranked.contributions) == 1:
        return ""
    terms = (f"{name} {share:6.3f}" for name, share in ranked.contributions.items())
    return f"  ({', '.join(terms)})"


def _format_location(record: ClipRecord) -> str:
    """Return the path of a clip that is read in place, or the name of any other."""
    if record.source == "referenced" and record.path is not None:
        return shown_path(Path(record.path))
    return str(record.metadata.get("name", ""))


def _format_metadata(record: ClipRecord) -> str:
    """Return the metadata without the location, shortened to one line."""
    metadata = record.metadata.items()
    entries = (f"{name}={value}" for name, value in metadata if name not in _LOCATION_FIELDS)
    text = " ".join(" ".join(entries).split())
    limit = _MAX_METADATA_CHARACTERS
    return text if len(text) <= limit else text[: limit - 1] + "…"
