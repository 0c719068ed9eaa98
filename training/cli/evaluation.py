"""``minuend-train evaluate bgknown``, ``linear``, ``separation`` and ``report``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from training.cli.options import (
    AS_JSON,
    CACHE,
    PLACE,
    RESULTS,
    THREADS,
    options_of,
    prints_result,
    tell,
)

if TYPE_CHECKING:
    from training.evaluation.measure import Measurement

ENCODER_HELP = (
    "Folder of a bundle; 'random' or 'random:SEED' for an untrained encoder of the same "
    "architecture; 'log-mel' for mean and standard deviation of the log-mel; 'teacher' for the "
    "teacher of distillation."
)


shared_options = options_of(
    click.option(
        "--statistics",
        type=click.Choice(["bundle", "dataset"]),
        default="bundle",
        show_default=True,
        help="Normalise by those in the bundle, as served, or of the data, as in the paper.",
    ),
    RESULTS,
    CACHE,
    THREADS,
    AS_JSON,
)
measurement_options = options_of(
    click.option("--encoder", required=True, help=ENCODER_HELP), shared_options
)
linear_options = options_of(click.option("--encoder", help=ENCODER_HELP), shared_options)
classifier_options = options_of(
    click.option(
        "--monitor",
        type=click.Choice(["loss", "accuracy"]),
        default="loss",
        show_default=True,
        help="Figure of the validation clips that early stopping watches.",
    ),
    click.option(
        "--seeds",
        default="42,43,44",
        show_default=True,
        help="One run of the classifier for each.",
    ),
)


@click.command("bgknown")
@click.argument("data", type=PLACE)
@measurement_options
@classifier_options
@click.option("--coefficient", default=1.0, show_default=True, help="Factor of the reference.")
def bgknown(data: Path, **options: Any) -> None:
    """Table 1: classify the events of Background-known ESC-50.

    DATA is a folder made by 'data bgknown'. Writes a row of bgknown.json.
    """
    from training.evaluation.measure import measure_bgknown

    _tell(measure_bgknown(data, _measurement(options), options["coefficient"]), options)


@click.command("linear")
@click.argument("task", required=False)
@click.argument("metadata", type=PLACE, required=False)
@linear_options
@classifier_options
@click.option("--train-folds", help="Such as 1,2,3: train on these and test on all others, once.")
@click.option("--unit-s", type=float, help="Length that is embedded [s]; default: of the task.")
@click.option("--learning-rate", type=float, help="Of the classifier; default: that of the task.")
@click.option("--data", type=PLACE, help="CSV manifest: evaluate all its labelled corpora.")
@click.option("--bundle", "bundles", multiple=True, help="With --data: a bundle to evaluate too.")
@click.option("--corpus", "corpora", multiple=True, help="With --data: only this corpus.")
def linear(task: str | None, metadata: Path | None, **options: Any) -> None:
    """Table 3: train a linear layer on a task of labelled clips.

    TASK is esc50, us8k, spcv2, vc1, voxforge, cremad, gtzan, nsynth, surge, or a name of your own
    with --unit-s. METADATA is a file made by 'data prepare'. Writes a row of linear.json.

    With --data, without TASK and METADATA: all labelled corpora of a manifest, for random
    initialisation, the log-mel, the teacher if it is installed, and each --bundle. The classifier
    is a logistic regression whose strength is chosen inside the training part. Writes rows of
    linear_corpora.json, and linear.md. --encoder, --monitor, --seeds and the options of a task
    do not apply.
    """
    if options["data"] is not None:
        if task or options["encoder"]:
            raise click.UsageError("--data takes neither a task nor --encoder")
        _all_corpora(options)
        return
    if task is None or metadata is None or options["encoder"] is None:
        raise click.UsageError("give TASK, METADATA and --encoder; or --data")
    from training.evaluation.measure import measure_linear

    chosen = {name: options[name] for name in ("train_folds", "unit_s", "learning_rate")}
    _tell(measure_linear(task, metadata, _measurement(options), **chosen), options)


def _all_corpora(options: dict[str, Any]) -> None:
    """Measure baselines and bundles on all labelled corpora, and write the page."""
    from training.evaluation.corpora import measure_corpora
    from training.evaluation.encoders import baselines
    from training.reports.linear_page import cell, protocol_title, write_page

    base = _measurement(options | {"encoder": ""})
    names = [*baselines(), *options["bundles"]]
    measurements = [replace(base, encoder=name, statistics=options["statistics"]) for name in names]
    lines = [
        f"{row['encoder']['id']}, {protocol_title(row)}: {cell(row)}"
        for row in measure_corpora(options["data"], measurements, options["corpora"])
    ]
    page = write_page(options["results"])
    tell({"rows": lines, "page": page}, as_json=options["as_json"])


@click.command("separation")
@click.argument("data", type=PLACE)
@measurement_options
@click.option("--pairs", default=500, show_default=True, help="Mixtures for each level.")
@click.option("--seed", default=42, show_default=True, help="Draws clips and pairs.")
@click.option(
    "--unheard-by",
    type=PLACE,
    help="Bundle whose training clips are left out; default: that of --encoder. With it, another "
    "encoder, 'random' or 'log-mel' is measured on the same pairs.",
)
def separation(data: Path, **options: Any) -> None:
    """Measure whether f(A+B) - w f(B) is near f(A): ranks among 1,000 clips, over w and level.

    DATA is the manifest that the encoder was trained from, or any other. Clips that share a
    recording with the training data of the bundle are left out. Writes a row of separation.json.
    """
    from training.evaluation.measure import measure_separate

    measurement = _measurement(options | {"seeds": str(options["seed"])})
    summary = measure_separate(data, measurement, options["pairs"], options["unheard_by"])
    _tell(summary, options)


@click.command("report")
@RESULTS
@prints_result
def report(results: Path) -> dict[str, Path]:
    """Write RESULTS/paper.md: tables 1 and 3 beside those of the paper, with plots."""
    from training.reports.paper_page import write_page

    return {"page": write_page(results)}


def _tell(summary: str, options: dict[str, Any]) -> None:
    """Print the summary; as JSON, with the folder of the results."""
    as_json = options["as_json"]
    more = {"results": options["results"]} if as_json else {}
    tell({"summary": summary, **more}, as_json=as_json)


def _measurement(options: dict[str, Any]) -> Measurement:
    from training.evaluation.measure import Measurement

    return Measurement(
        encoder=options["encoder"],
        statistics=options["statistics"],
        results=options["results"],
        cache=options["cache"],
        seeds=numbers(options["seeds"]),
        monitor=options.get("monitor", "loss"),
        threads=options["threads"],
    )


def numbers(text: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them.

    Raises:
        BadParameter: The text is something else.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdigit() for word in words):
        raise click.BadParameter(f"{text!r} must be whole numbers with commas between them")
    return tuple(int(word) for word in words)
