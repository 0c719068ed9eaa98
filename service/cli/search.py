"""`minuend search`: search a library by example and description, without a server."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.options import (
    FILE,
    FloatRange,
    given,
    json_option,
    ranking_options,
    settings_options,
)
from service.cli.output import hit_body, json_text, print_hits
from service.retrieval.options import DEFAULT_STRENGTH, MAX_STRENGTH

if TYPE_CHECKING:
    from service.retrieval.inputs import AudioInput
    from service.retrieval.options import RankingOptions
    from service.settings import Settings


@click.command(
    "search",
    epilog="Example: minuend search --audio rain.wav --modifier 'with thunder'",
)
@click.option("--audio", type=FILE, help="File with the sound to search for.")
@click.option("--clip-id", help="Clip of the library to search for.")
@click.option("--reference", type=FILE, help="File to subtract.")
@click.option("--reference-id", help="Clip of the library to subtract.")
@click.option(
    "--modifier", metavar="TEXT", help="Text to search for, or the difference from the sound."
)
@click.option(
    "--strength",
    type=FloatRange(0, MAX_STRENGTH),
    default=DEFAULT_STRENGTH,
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
    """Find clips of the library that sound like a file or a clip, or match a text.

    A reference is subtracted from the sound. A modifier is a text that is added to the sound, with
    the weight --strength; alone, it is a search by description. Clips in the query are not among
    the hits.
    """
    from service.concurrency.timings import RequestTimings
    from service.retrieval.query import Modifier
    from service.services import open_searcher

    _check_combination(audio, clip_id, reference, reference_id, ranking)
    if modifier is None and given(["strength"]):
        raise click.UsageError("--strength needs --modifier")
    if modifier is None and audio is None and clip_id is None:
        raise click.UsageError("give one of --audio and --clip-id, or a --modifier")
    with ExitStack() as stack:
        sound = _open_input(stack, audio, clip_id)
        subtrahend = _open_input(stack, reference, reference_id)
        text = None if modifier is None else Modifier(modifier, strength)
        searcher = stack.enter_context(open_searcher(settings))
        found = searcher.search(sound, subtrahend, ranking, RequestTimings(), modifier=text)
    if as_json:
        body = {
            "hits": [hit_body(hit) for hit in found.hits],
            "notices": [asdict(notice) for notice in found.notices],
            "understood": [asdict(sound) for sound in found.understood],
        }
        click.echo(json_text(body))
        return
    if found.understood:
        sounds = (f"{s.change.replace('_', ' ')} {s.sound!r}" for s in found.understood)
        click.echo(f"understood: {', '.join(sounds)}", err=True)
    for notice in found.notices:
        click.echo(notice.detail, err=True)
    print_hits(found.hits)


def _check_combination(
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


def _open_input(stack: ExitStack, file: Path | None, clip_id: str | None) -> AudioInput | None:
    from service.retrieval.inputs import ClipInput, FileInput

    if file is not None:
        return FileInput(stack.enter_context(file.open("rb")))
    return None if clip_id is None else ClipInput(clip_id)
