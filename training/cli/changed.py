"""``minuend-train calibrate``, ``evaluate changed`` and ``evaluate changed-page``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli.options import PLACE, json_option
from training.cli.output import tell

DATA = click.option("--data", type=PLACE, required=True, help="CSV manifest.")
CACHE = click.option("--cache", type=PLACE, default=Path("cache"), show_default=True)
RESULTS = click.option("--results", type=PLACE, default=Path("docs/results"), show_default=True)
THREADS = click.option("--threads", default=0, help="0 for one for each core; 1 on a busy machine.")


@click.command("calibrate")
@click.argument("bundle", type=PLACE)
@DATA
@CACHE
@THREADS
@json_option
def command(bundle: Path, data: Path, cache: Path, threads: int, *, as_json: bool) -> None:
    """Fit a bundle's detector of added sounds, with a known rate of false alarms.

    It is fitted to permissive clips alone and replaces an earlier detector.
    """
    from training.change_detection.dataset import build_dataset
    from training.change_detection.export import calibrate
    from training.evaluation.encoders import open_embedder

    dataset = build_dataset(data, open_embedder(str(bundle), threads=threads), cache)
    tell({"file": calibrate(bundle, dataset)}, as_json=as_json)


@click.command("changed")
@click.argument("bundle", type=PLACE)
@DATA
@RESULTS
@CACHE
@THREADS
@json_option
def changed(
    bundle: Path, data: Path, results: Path, cache: Path, threads: int, *, as_json: bool
) -> None:
    """Measure how often `changed` is true, with an added sound and without one.

    BUNDLE names the encoder. Detectors are fitted by cross-validation over recordings, so each is
    tested on recordings that it was not fitted to. Writes changed.json.
    """
    from service.bundle.files import load_bundle
    from training.change_detection.dataset import build_dataset
    from training.change_detection.measure import measure
    from training.evaluation.encoders import open_embedder
    from training.results import write_result

    dataset = build_dataset(data, open_embedder(str(bundle), threads=threads), cache)
    figures = {
        "encoder": load_bundle(bundle).manifest.encoder.fingerprint,
        "recordings_heard_by_encoder": dataset.count_seen(bundle),
    }
    write_result(results / "changed.json", figures | measure(dataset))
    tell({"results": results / "changed.json"}, as_json=as_json)


@click.command("changed-page")
@RESULTS
@json_option
def page(results: Path, *, as_json: bool) -> None:
    """Render changed.md and its plot from the results file beside it."""
    from training.reports.changed_page import write_page

    tell({"page": write_page(results)}, as_json=as_json)
