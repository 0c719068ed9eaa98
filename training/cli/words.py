"""``minuend-train evaluate words`` and ``evaluate words-page``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli.options import CACHE, DATA, PLACE, RESULTS, THREADS, prints_result


@click.command("words")
@click.option(
    "--bundle",
    "bundles",
    type=PLACE,
    multiple=True,
    required=True,
    help="Bundle to measure. May be given several times: no clip was used to train any of them, so "
    "that their figures can be compared.",
)
@DATA
@RESULTS
@CACHE
@THREADS
@prints_result
def words(
    bundles: tuple[Path, ...], data: Path, results: Path, cache: Path, threads: int
) -> dict[str, Path]:
    """Measure searches by text, by example and by difference, over clips not trained on.

    Text alone, unknown texts, negation, composition and subtraction across recordings, and search
    by example, through the code of the service. Writes a row of words.json for each bundle.
    """
    from training.evaluation.words.measure import measure_words

    path = measure_words(data, bundles, results=results, cache=cache, threads=threads)
    return {"results": path}


@click.command("words-page")
@RESULTS
@prints_result
def page(results: Path) -> dict[str, Path]:
    """Render words.md and its plots from the results file beside it."""
    from training.reports.words_page import write_page

    return {"page": write_page(results)}
