"""`minuend search`: the library by example, without a server."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.options import FILE, json_option, ranking_options, settings_options
from service.cli.output import hit_body, json_text, tell_hits

if TYPE_CHECKING:
    from service.search import Ranking
    from service.settings import Settings
    from service.sounds import Sound


@click.command(
    "search",
    epilog="Example: minuend search --audio now.wav --reference before.wav",
)
@click.option("--audio", type=FILE, help="A file to search like.")
@click.option("--clip-id", help="A clip of the library to search like.")
@click.option("--reference", type=FILE, help="A file to subtract.")
@click.option("--reference-id", help="A clip of the library to subtract.")
@ranking_options
@json_option
@settings_options("library", "bundle", "device")
def command(  # noqa: PLR0913 - one parameter an option
    *,
    audio: Path | None,
    clip_id: str | None,
    reference: Path | None,
    reference_id: str | None,
    as_json: bool,
    settings: Settings,
    ranking: Ranking,
) -> None:
    """Find the clips of the library that sound like a file or a clip.

    With a reference, what sounds like the reference is subtracted first. Clips that the query
    names are not among the hits.
    """
    from service.cli.opening import open_searcher
    from service.timing import Phases

    if (audio is None) == (clip_id is None):
        raise click.UsageError("give one of --audio and --clip-id")
    if reference is not None and reference_id is not None:
        raise click.UsageError("give only one of --reference and --reference-id")
    if ranking.reference_weight is not None and reference is None and reference_id is None:
        raise click.UsageError("--reference-weight needs --reference or --reference-id")
    with ExitStack() as stack:
        positive = _sound(stack, audio, clip_id)
        subtracted = None
        if reference is not None or reference_id is not None:
            subtracted = _sound(stack, reference, reference_id)
        searcher = stack.enter_context(open_searcher(settings))
        hits = searcher.search(positive, subtracted, ranking, Phases())
    if as_json:
        click.echo(json_text({"hits": [hit_body(hit) for hit in hits]}))
    else:
        tell_hits(hits)


def _sound(stack: ExitStack, file: Path | None, clip_id: str | None) -> Sound:
    from service.sounds import File, Stored

    if file is not None:
        return File(stack.enter_context(file.open("rb")))
    return Stored(clip_id or "")
