"""``minuend-train evaluate bgknown``, ``linear``, ``separation`` and ``report``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from training.cli.options import PLACE, json_option
from training.cli.output import tell

if TYPE_CHECKING:
    from training.evaluation.measure import Measurement

Command = TypeVar("Command", bound=Callable[..., Any])

ENCODER_HELP = (
    "Folder of a bundle; 'random' or 'random:SEED' for an encoder of the same shape that learnt "
    "nothing; 'log-mel' for mean and standard deviation of the log-mel."
)


def measured(command: Command) -> Command:
    """Add the options that every measurement has."""
    for option in reversed(
        (
            click.option("--encoder", required=True, help=ENCODER_HELP),
            click.option(
                "--statistics",
                type=click.Choice(["bundle", "dataset"]),
                default="bundle",
                show_default=True,
                help="Normalise by what is in the bundle, as served, or by the data, as the paper.",
            ),
            click.option("--results", type=PLACE, default=Path("docs/results"), show_default=True),
            click.option("--cache", type=PLACE, default=Path("cache"), show_default=True),
            click.option("--threads", default=0, help="0 for one a core; 1 on a busy machine."),
            json_option,
        )
    ):
        command = option(command)
    return command


def probed(command: Command) -> Command:
    """Add the options of the classifier."""
    for option in reversed(
        (
            click.option(
                "--monitor",
                type=click.Choice(["loss", "accuracy"]),
                default="loss",
                show_default=True,
                help="What early stopping watches on the validation clips.",
            ),
            click.option(
                "--seeds",
                default="42,43,44",
                show_default=True,
                help="One run of the classifier each.",
            ),
        )
    ):
        command = option(command)
    return command


@click.command("bgknown")
@click.argument("data", type=PLACE)
@measured
@probed
@click.option("--coefficient", default=1.0, show_default=True, help="Of the reference.")
def bgknown(data: Path, **options: Any) -> None:
    """Table 1: classify the events of Background-known ESC-50.

    DATA is the folder that 'data bgknown' made. Puts a row into bgknown.json of the results.
    """
    from training.evaluation.measure import measure_bgknown

    _tell(measure_bgknown(data, _measurement(options), options["coefficient"]), options)


@click.command("linear")
@click.argument("task")
@click.argument("metadata", type=PLACE)
@measured
@probed
@click.option("--train-folds", help="Such as 1,2,3: test on all others, once.")
@click.option("--unit-s", type=float, help="Length that is embedded [s]; by the task if known.")
@click.option("--learning-rate", type=float, help="Of the classifier; by the task if known.")
def linear(task: str, metadata: Path, **options: Any) -> None:
    """Table 3: train a linear layer on a task of labelled clips.

    TASK is esc50, us8k, spcv2, vc1, voxforge, cremad, gtzan, nsynth, surge, or a name of your own
    with --unit-s. METADATA is the file that 'data prepare' made. Puts a row into linear.json.
    """
    from training.evaluation.measure import measure_linear

    chosen = {name: options[name] for name in ("train_folds", "unit_s", "learning_rate")}
    _tell(measure_linear(task, metadata, _measurement(options), **chosen), options)


@click.command("separation")
@click.argument("data", type=PLACE)
@measured
@click.option("--pairs", default=500, show_default=True, help="Mixtures for each level.")
@click.option("--seed", default=42, show_default=True, help="Draws clips and pairs.")
@click.option(
    "--unheard-by",
    type=PLACE,
    help="Bundle whose unheard clips to use; that of --encoder where it is one. With it, another "
    "encoder, 'random' or 'log-mel' is measured on the same pairs.",
)
def separation(data: Path, **options: Any) -> None:
    """Is f(A+B) - w f(B) near f(A)? Ranks among 1,000 unheard clips, over w and level.

    DATA is the manifest the encoder was trained from, or any other; clips that share a recording
    with what a bundle has heard are left out. Puts a row into separation.json.
    """
    from training.evaluation.measure import measure_separate

    measurement = _measurement(options | {"seeds": str(options["seed"])})
    summary = measure_separate(data, measurement, options["pairs"], options["unheard_by"])
    _tell(summary, options)


@click.command("report")
@click.option("--results", type=PLACE, default=Path("docs/results"), show_default=True)
@json_option
def report(results: Path, as_json: bool) -> None:
    """Draw tables 1 and 3 beside the paper's, with pictures: RESULTS/paper.md."""
    from training.reports.paper_page import write_page

    tell({"page": write_page(results)}, as_json=as_json)


def _tell(summary: str, options: dict[str, Any]) -> None:
    """Print what came out; as JSON, with the folder that has it in full."""
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
        BadParameter: They are none.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdigit() for word in words):
        raise click.BadParameter(f"{text!r} must be whole numbers with commas between them")
    return tuple(int(word) for word in words)
