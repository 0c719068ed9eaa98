"""`minuend diff`: difference between a recording and one or more references."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.options import (
    FILE,
    RANKING_NAMES,
    given,
    json_option,
    ranking_options,
    settings_options,
)
from service.cli.output import hit_body, json_text, print_hits
from service.retrieval.options import DEFAULT_HOP_S, DEFAULT_PHRASES, MAX_PHRASES, DifferenceOptions

if TYPE_CHECKING:
    from service.retrieval.comparison import Comparison
    from service.retrieval.options import RankingOptions
    from service.settings import Settings


@click.command("diff", epilog="Example: minuend diff today.wav yesterday.wav --library sounds -k 5")
@click.argument("mixture", metavar="A", type=FILE)
@click.argument("references", metavar="B...", type=FILE, nargs=-1, required=True)
@click.option(
    "--phrases",
    "n_phrases",
    type=click.IntRange(0, MAX_PHRASES),
    default=DEFAULT_PHRASES,
    show_default=True,
    help="Most phrases that describe the difference.",
)
@click.option("--curve", is_flag=True, help="Print the distance of A from B over time.")
@ranking_options
@json_option
@settings_options("library", "bundle", "device")
def command(  # noqa: PLR0913 - one parameter an option
    *,
    mixture: Path,
    references: tuple[Path, ...],
    n_phrases: int,
    curve: bool,
    ranking: RankingOptions,
    as_json: bool,
    settings: Settings,
) -> None:
    """Subtract the sound of file B, or the mean of several, from that of file A.

    Prints what changed in words, the distance of the two, whether something was added or removed if
    the bundle is calibrated for that and, if it has towers, phrases for both sides. With --library
    or MINUEND_LIBRARY, also prints the clips that are nearest to what was added.
    """
    from service.api.response_models import ComparisonOut, make_body
    from service.concurrency.timings import RequestTimings
    from service.retrieval.inputs import FileInput
    from service.services import open_searcher

    has_library = "library" in settings.model_fields_set
    if given(RANKING_NAMES) and not has_library:
        raise click.UsageError("-k, --filter and --reference-weight need --library")
    options = DifferenceOptions(n_phrases, DEFAULT_HOP_S if curve else None)
    with open_searcher(settings, with_library=has_library) as searcher, ExitStack() as opened:
        first, *others = (
            FileInput(opened.enter_context(path.open("rb"))) for path in (mixture, *references)
        )
        found = searcher.difference(first, others, ranking, RequestTimings(), options=options)
    if as_json:
        body = make_body(ComparisonOut, found.comparison)
        if has_library:
            body["hits"] = [hit_body(hit) for hit in found.hits]
        click.echo(json_text(body))
        return
    _print_comparison(found.comparison)
    if has_library:
        click.echo(f"nearest to what {mixture} has and {references[0]} has not:")
        print_hits(found.hits)


def _print_comparison(found: Comparison) -> None:
    click.echo(found.description)
    click.echo(f"relative norm {found.relative_norm:8.4f}  (0: nothing differs)")
    if found.spread is not None:
        click.echo(f"spread        {found.spread:8.4f}  (of the references, on the same scale)")
    click.echo(f"cosine        {found.cosine:8.4f}  (1: nothing differs)")
    if found.level_difference_db is not None:
        click.echo(f"level         {found.level_difference_db:+8.2f}  dB")
    if found.changed is not None:
        click.echo(
            f"changed       {found.changed.what:>8}  (score {found.changed.score:.2f}, threshold"
            f" {found.changed.threshold:.2f})"
        )
    for name, side in (("added", found.added), ("removed", found.removed)):
        for phrase in side.phrases:
            click.echo(f"{name:<8}{phrase.score:14.4f}  {phrase.phrase}")
    for point in found.curve or []:
        times = f"{point.start_s:8.1f} s {point.end_s:8.1f} s"
        phrases = "  ".join(phrase.phrase for phrase in point.phrases)
        click.echo(f"{times} {point.relative_norm:8.4f}  {phrases}".rstrip())
