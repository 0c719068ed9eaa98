"""`minuend verify`: check a library for damage."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from service.cli.options import FloatRange, json_option, settings_options
from service.cli.output import json_text

if TYPE_CHECKING:
    from service.library.verify import Progress, Verifier
    from service.settings import Settings

DAMAGED_EXIT_CODE = 1


@click.command("verify", epilog="Example: minuend verify --library sounds --sample 0.1")
@click.option(
    "--sample",
    "share",
    type=FloatRange(0, 1, min_open=True),
    default=1.0,
    metavar="SHARE",
    help="Check a share of the rows and files, drawn at random: 0.1 is a tenth.",
)
@click.option("--restart", is_flag=True, help="Begin again instead of where a run was stopped.")
@json_option
@settings_options("library")
def command(*, share: float, restart: bool, as_json: bool, settings: Settings) -> None:
    """Check the library for damage, also while a service uses it.

    Every audio file is compared with the size and the digest that it had when it was added, and
    every record and embedding with its checksum. The structure of the catalogue and the snapshot of
    the search index are checked, and audio files that no clip names are counted. A run that was
    stopped continues where it was.

    Damaged parts are listed; services do not serve them. `minuend index --reembed` computes damaged
    embeddings again; for a damaged record or audio file, put the clip again or restore a backup.

    Exit code 1 means that something is damaged.
    """
    from service.library.verify import open_verifier

    with closing(open_verifier(settings.library, share=share)) as verifier:
        kept = None if restart else verifier.load()
        if kept is not None and not kept.is_complete:
            click.echo(f"continuing the check of {kept.started_at}", err=True)
            verifier.progress = kept
        _run(verifier)
        progress = verifier.progress
    if as_json:
        click.echo(json_text(_body(progress)))
    else:
        _print_result(progress)
    if progress.n_damaged:
        click.get_current_context().exit(DAMAGED_EXIT_CODE)


def _run(verifier: Verifier) -> None:
    from tqdm import tqdm

    with tqdm(total=verifier.count(), unit="part", disable=None) as bar:
        bar.update(sum(verifier.progress.checked.values()) + verifier.progress.step)
        for n_parts in verifier.run():
            bar.update(n_parts)
    verifier.forget()


def _body(progress: Progress) -> dict[str, object]:
    return {
        "started_at": progress.started_at,
        "share": progress.share,
        "checked": progress.checked,
        "damaged": progress.damaged,
        "faults": [asdict(fault) for fault in progress.faults],
        "orphans": progress.orphans,
    }


def _print_result(progress: Progress) -> None:
    for fault in progress.faults:
        click.echo(f"damaged {fault.part}  {fault.name}: {fault.fault}")
    if (n_more := progress.n_damaged - len(progress.faults)) > 0:
        click.echo(f"and {n_more} more")
    checked = progress.checked
    click.echo(
        f"checked {checked['record']} records, {checked['vector']} embeddings of clips,"
        f" {checked['window']} of windows and {checked['audio']} audio files:"
        f" {progress.n_damaged or 'nothing'} damaged"
    )
    if progress.orphans:
        click.echo(f"{progress.orphans} audio files belong to no clip")
