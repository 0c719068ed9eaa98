"""``minuend-train calibrate``, ``evaluate changed`` and ``evaluate changed-page``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli.options import CACHE, DATA, PLACE, RESULTS, THREADS, prints_result


@click.command("calibrate")
@click.argument("bundle", type=PLACE)
@DATA
@CACHE
@THREADS
@prints_result
def calibrate(bundle: Path, data: Path, cache: Path, threads: int) -> dict[str, Path]:
    """Fit a bundle's detector of added sounds, with a known rate of false alarms.

    It is fitted to permissive clips alone and replaces an earlier detector.
    """
    from training.change_detection.dataset import build_dataset
    from training.change_detection.export import calibrate as put_detector
    from training.evaluation.encoders import open_embedder

    dataset = build_dataset(data, open_embedder(str(bundle), threads=threads), cache)
    return {"file": put_detector(bundle, dataset)}


@click.command("changed")
@click.argument("bundle", type=PLACE)
@DATA
@RESULTS
@CACHE
@THREADS
@prints_result
def changed(bundle: Path, data: Path, results: Path, cache: Path, threads: int) -> dict[str, Path]:
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
    return {"results": results / "changed.json"}


@click.command("changed-page")
@RESULTS
@prints_result
def page(results: Path) -> dict[str, Path]:
    """Render changed.md and its plot from the results file beside it."""
    from training.reports.changed_page import write_page

    return {"page": write_page(results)}
