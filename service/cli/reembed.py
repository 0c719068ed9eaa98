"""`minuend index --reembed`: embed the library with the encoder of another bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from service.cli.output import json_text

if TYPE_CHECKING:
    from service.library.reembed import ReembedReport
    from service.settings import Settings


def reembed_library(settings: Settings, *, as_json: bool, drop_others: bool) -> bool:
    """Embed clips without an embedding of the bundle's encoder, and print the result.

    Args:
        settings: Paths of library and bundle.
        as_json: Print JSON.
        drop_others: Then remove embeddings of other encoders that are no longer needed.

    Returns:
        Whether all clips were embedded.

    Raises:
        StartupError: The library, the bundle or the device cannot be used.
        OSError: The library cannot be written.
    """
    from tqdm import tqdm

    from service.library.reembed import Reembedder
    from service.services import open_library_and_reader

    n_dropped = 0
    with open_library_and_reader(settings, reembedding=True) as (library, reader):
        reembedder = Reembedder(library, reader)
        with tqdm(total=reembedder.n_due(), unit="clip", disable=None) as bar:
            report = reembedder.run(on_clip=bar.update)
        library.index.save()
        if drop_others:
            n_dropped = library.reembed_queue.drop_others()
    if as_json:
        click.echo(json_text(_body(report, n_dropped)))
    else:
        _print_report(report, n_dropped)
    return not report.failed


def _body(report: ReembedReport, n_dropped: int) -> dict[str, object]:
    return {
        "embedded": report.embedded,
        "unchanged": report.unchanged,
        "left_out": [
            {"clip_id": clip.clip_id, "code": clip.code, "reason": clip.reason}
            for clip in report.failed
        ],
        "dropped": n_dropped,
    }


def _print_report(report: ReembedReport, n_dropped: int) -> None:
    click.echo(
        f"{report.embedded} clips embedded, {report.unchanged} were already;"
        " the search index is up to date"
    )
    if n_dropped:
        click.echo(f"{n_dropped} embeddings of other encoders removed")
    if report.failed:
        click.echo(f"{len(report.failed)} clips could not be embedded:", err=True)
    for clip in report.failed:
        click.echo(f"  {clip.clip_id}: {clip.reason}", err=True)
