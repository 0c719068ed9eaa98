"""`minuend diff`: what one recording has and another has not."""

from __future__ import annotations

from dataclasses import asdict
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
@click.option(
    "--phrases",
    "n_phrases",
    type=click.IntRange(0, 50),
    default=5,
    show_default=True,
    help="Words for the difference to show.",
)
@ranking_options
@json_option
@settings_options("library", "bundle", "device")
def command(
    *,
    mixture: Path,
    reference: Path,
    n_phrases: int,
    ranking: Ranking,
    as_json: bool,
    settings: Settings,
) -> None:
    """Subtract the sound of file B from that of file A.

    Tells how large the difference is and, if the bundle has towers, in words what A has and B has
    not. With --library or MINUEND_LIBRARY also lists the clips that
    are nearest to what A has and B has not.
    """
    has_library = "library" in settings.model_fields_set
    if given(RANKING_NAMES) and not has_library:
        raise click.UsageError("-k, --filter and --reference-weight need --library")
    if has_library:
        found = _search(settings, mixture, reference, ranking, n_phrases)
    else:
        found = _compare(settings, mixture, reference, n_phrases)
    if as_json:
        click.echo(json_text(_body(found, has_library=has_library)))
        return
    click.echo(f"relative norm {found.relative_norm:8.4f}  (0: nothing differs)")
    click.echo(f"cosine        {found.cosine:8.4f}  (1: nothing differs)")
    for phrase in found.phrases:
        click.echo(f"{phrase.score:22.4f}  {phrase.phrase}")
    if has_library:
        click.echo(f"nearest to what {mixture} has and {reference} has not:")
        tell_hits(found.hits)


def _search(
    settings: Settings, mixture: Path, reference: Path, ranking: Ranking, n_phrases: int
) -> Difference:
    from service.cli.opening import open_searcher
    from service.sounds import File
    from service.timing import Phases

    with (
        open_searcher(settings) as searcher,
        mixture.open("rb") as mixture_file,
        reference.open("rb") as reference_file,
    ):
        sounds = File(mixture_file), File(reference_file)
        return searcher.difference(*sounds, ranking, Phases(), n_phrases=n_phrases)


def _compare(settings: Settings, mixture: Path, reference: Path, n_phrases: int) -> Difference:
    """Return the difference without hits; no library is needed for it."""
    from service.audio import decode
    from service.cli.opening import audio_limits, open_bundle, open_encoder, open_towers
    from service.difference import centred_cosine, relative_norm, unit
    from service.search import Difference
    from service.space import make_space

    bundle = open_bundle(settings)
    encoder, towers = open_encoder(bundle, settings), open_towers(bundle, settings)
    limits = audio_limits(settings)
    audios = [
        decode(path, sample_rate=encoder.sample_rate, limits=limits)
        for path in (mixture, reference)
    ]
    of_mixture, of_reference = encoder.embed([audio.samples for audio in audios])
    space = make_space(bundle, towers.audio if towers else None)
    change = space.place_difference(of_mixture, of_reference, encoder.reference_weight)
    return Difference(
        embedding=of_mixture - of_reference,
        relative_norm=relative_norm(of_mixture, of_reference),
        cosine=centred_cosine(of_mixture, of_reference, encoder.mean),
        phrases=towers.bank.rank(unit(change), n_phrases) if towers else [],
    )


def _body(found: Difference, *, has_library: bool) -> dict[str, Any]:
    body = {
        "relative_norm": found.relative_norm,
        "cosine": found.cosine,
        "phrases": [asdict(phrase) for phrase in found.phrases],
        "embedding": found.embedding,
    }
    return body | {"hits": [hit_body(hit) for hit in found.hits]} if has_library else body
