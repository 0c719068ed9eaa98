"""`minuend search`: the library by example and by description, without a server."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.options import FILE, given, json_option, ranking_options, settings_options
from service.cli.output import hit_body, json_text, tell_hits

if TYPE_CHECKING:
    from service.retrieval.inputs import AudioInput
    from service.retrieval.options import RankingOptions
    from service.settings import Settings


@click.command(
    "search",
    epilog="Example: minuend search --audio rain.wav --modifier 'with thunder'",
)
@click.option("--audio", type=FILE, help="A file to search like.")
@click.option("--clip-id", help="A clip of the library to search like.")
@click.option("--reference", type=FILE, help="A file to subtract.")
@click.option("--reference-id", help="A clip of the library to subtract.")
@click.option("--modifier", metavar="TEXT", help="What to find, or how it differs from the sound.")
@click.option(
    "--strength",
    type=click.FloatRange(0, 4),
    default=1.0,
    show_default=True,
    help="Weight of the modifier.",
)
@ranking_options
@json_option
@settings_options("library", "bundle", "device")
def command(  # noqa: PLR0913 - one parameter an option
    *,
    audio: Path | None,
    clip_id: str | None,
    reference: Path | None,
    reference_id: str | None,
    modifier: str | None,
    strength: float,
    as_json: bool,
    settings: Settings,
    ranking: RankingOptions,
) -> None:
    """Find the clips of the library that sound like a file or a clip, or as a text says.

    With a reference, what sounds like the reference is subtracted first; with a modifier, what the
    text says is added, times its strength. A modifier alone searches by description. Clips that
    the query names are not among the hits.
    """
    from service.concurrency.timings import RequestTimings
    from service.retrieval.query import Modifier
    from service.services import open_searcher

    _check(audio, clip_id, reference, reference_id, ranking)
    if modifier is None and given(["strength"]):
        raise click.UsageError("--strength needs --modifier")
    if modifier is None and audio is None and clip_id is None:
        raise click.UsageError("give one of --audio and --clip-id, or a --modifier")
    with ExitStack() as stack:
        positive = _sound(stack, audio, clip_id)
        subtracted = _sound(stack, reference, reference_id)
        change = None if modifier is None else Modifier(modifier, strength)
        searcher = stack.enter_context(open_searcher(settings))
        found = searcher.search(positive, subtracted, ranking, RequestTimings(), modifier=change)
    if as_json:
        notices = [asdict(notice) for notice in found.notices]
        click.echo(json_text({"hits": [hit_body(hit) for hit in found.hits], "notices": notices}))
        return
    for notice in found.notices:
        click.echo(notice.detail, err=True)
    tell_hits(found.hits)


def _check(
    audio: Path | None,
    clip_id: str | None,
    reference: Path | None,
    reference_id: str | None,
    ranking: RankingOptions,
) -> None:
    if audio is not None and clip_id is not None:
        raise click.UsageError("give only one of --audio and --clip-id")
    if reference is not None and reference_id is not None:
        raise click.UsageError("give only one of --reference and --reference-id")
    has_reference = reference is not None or reference_id is not None
    if has_reference and audio is None and clip_id is None:
        raise click.UsageError("a reference needs --audio or --clip-id to be subtracted from")
    if ranking.reference_weight is not None and not has_reference:
        raise click.UsageError("--reference-weight needs --reference or --reference-id")


def _sound(stack: ExitStack, file: Path | None, clip_id: str | None) -> AudioInput | None:
    from service.retrieval.inputs import ClipInput, FileInput

    if file is not None:
        return FileInput(stack.enter_context(file.open("rb")))
    return None if clip_id is None else ClipInput(clip_id)
