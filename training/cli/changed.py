"""``minuend-train calibrate``, ``evaluate changed``, ``describe`` and ``changed-page``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from training.cli.options import CACHE, DATA, PLACE, RESULTS, THREADS, prints_result

if TYPE_CHECKING:
    from training.scenes.recipe import Side


@click.command("calibrate")
@click.argument("bundle", type=PLACE)
@DATA
@CACHE
@THREADS
@prints_result
def calibrate(bundle: Path, data: Path, cache: Path, threads: int) -> dict[str, Path]:
    """Fit a bundle's detector of added and removed sounds, with a known rate of false alarms.

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
    """Measure what `changed` says, with an added or a removed sound, both, and without one.

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


@click.command("describe")
@click.argument("bundle", type=PLACE)
@DATA
@RESULTS
@CACHE
@THREADS
@click.option("--scenes", default=150, show_default=True, help="Scenes of each kind of change.")
@click.option(
    "--side",
    type=click.Choice(["test", "train"]),
    default="test",
    show_default=True,
    help="Sources of the scenes; choices are made on the training side.",
)
@prints_result
def describe(  # noqa: PLR0913 - one parameter an option
    *,
    bundle: Path,
    data: Path,
    results: Path,
    cache: Path,
    threads: int,
    scenes: int,
    side: Side,
) -> dict[str, Path]:
    """Measure how often the description of a change is right.

    Compares rendered scenes, in which a sound was added or removed, both, or neither. The detector
    is fitted without the sources of the test side. Writes describe.json, or describe_train.json for
    the training side.
    """
    from service.bundle.files import load_bundle
    from training.change_detection.dataset import build_dataset
    from training.change_detection.describe import measure_descriptions
    from training.change_detection.windows import windowed
    from training.evaluation.encoders import open_embedder
    from training.results import write_result

    embedder = open_embedder(str(bundle), threads=threads)
    dataset = build_dataset(data, embedder, cache)
    figures = measure_descriptions(bundle, dataset, windowed(embedder), scenes, side=side)
    path = results / ("describe.json" if side == "test" else "describe_train.json")
    fingerprint = load_bundle(bundle).manifest.encoder.fingerprint
    write_result(path, {"encoder": fingerprint} | figures)
    return {"results": path}


@click.command("changed-page")
@RESULTS
@prints_result
def page(results: Path) -> dict[str, Path]:
    """Render changed.md and its plot from the results files beside it."""
    from training.reports.changed_page import write_page

    return {"page": write_page(results)}
