"""`minuend diff`: what one recording has and another has not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.cli.options import (
    FILE,
    RANKING_NAMES,
    given,
    json_option,
    ranking_options,
    settings_options,
)
from service.cli.output import hit_body, json_text, tell_hits

if TYPE_CHECKING:
    from service.search import Difference, Ranking
    from service.settings import Settings


@click.command("diff", epilog="Example: minuend diff today.wav yesterday.wav --library sounds -k 5")
@click.argument("mixture", metavar="A", type=FILE)
@click.argument("reference", metavar="B", type=FILE)
@ranking_options
@json_option
@settings_options("library", "bundle", "device")
def command(
    *, mixture: Path, reference: Path, ranking: Ranking, as_json: bool, settings: Settings
) -> None:
    """Subtract the sound of file B from that of file A.

    Tells how large the difference is. With --library or MINUEND_LIBRARY also lists the clips that
    are nearest to what A has and B has not.
    """
    has_library = "library" in settings.model_fields_set
    if given(RANKING_NAMES) and not has_library:
        raise click.UsageError("-k, --filter and --reference-weight need --library")
    if has_library:
        found = _search(settings, mixture, reference, ranking)
    else:
        found = _compare(settings, mixture, reference)
    if as_json:
        click.echo(json_text(_body(found, has_library=has_library)))
        return
    click.echo(f"relative norm {found.relative_norm:8.4f}  (0: nothing differs)")
    click.echo(f"cosine        {found.cosine:8.4f}  (1: nothing differs)")
    if has_library:
        click.echo(f"nearest to what {mixture} has and {reference} has not:")
        tell_hits(found.hits)


def _search(settings: Settings, mixture: Path, reference: Path, ranking: Ranking) -> Difference:
    from service.cli.opening import open_searcher
    from service.sounds import File
    from service.timing import Phases

    with (
        open_searcher(settings) as searcher,
        mixture.open("rb") as mixture_file,
        reference.open("rb") as reference_file,
    ):
        return searcher.difference(File(mixture_file), File(reference_file), ranking, Phases())


def _compare(settings: Settings, mixture: Path, reference: Path) -> Difference:
    """Return the difference without hits; no library is needed for it."""
    from service.audio import decode
    from service.cli.opening import audio_limits, open_bundle, open_encoder
    from service.difference import centred_cosine, relative_norm
    from service.search import Difference

    encoder = open_encoder(open_bundle(settings), settings)
    limits = audio_limits(settings)
    audios = [
        decode(path, sample_rate=encoder.sample_rate, limits=limits)
        for path in (mixture, reference)
    ]
    of_mixture, of_reference = encoder.embed([audio.samples for audio in audios])
    return Difference(
        embedding=of_mixture - of_reference,
        relative_norm=relative_norm(of_mixture, of_reference),
        cosine=centred_cosine(of_mixture, of_reference, encoder.mean),
        hits=[],
    )


def _body(found: Difference, *, has_library: bool) -> dict[str, Any]:
    body = {
        "relative_norm": found.relative_norm,
        "cosine": found.cosine,
        "embedding": found.embedding,
    }
    return body | {"hits": [hit_body(hit) for hit in found.hits]} if has_library else body
