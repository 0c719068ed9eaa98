"""``minuend-train data bgknown``, ``data prepare`` and ``data pack``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from training.cli.options import AS_JSON, CACHE, OVERRIDES, PLACE, prints_result, tell


@click.command("bgknown")
@click.option(
    "--events", type=PLACE, required=True, help="ESC-50's folder, or a manifest that has it."
)
@click.option(
    "--backgrounds",
    type=PLACE,
    required=True,
    help="Folder of recordings, or a manifest (corpora ambience and traffic of it).",
)
@click.option(
    "--test-backgrounds",
    type=PLACE,
    help="Folder of the recordings for testing, such as FSD50K.eval_audio beside "
    "FSD50K.dev_audio in the paper; without it, the recordings are divided.",
)
@click.option("--out", type=PLACE, required=True, help="Folder of the data set; must be new.")
@click.option("--seed", default=42, show_default=True)
@AS_JSON
def bgknown(out: Path, seed: int, as_json: bool, **sources: Any) -> None:
    """Make Background-known ESC-50 (paper, section 5.2) from sources and a seed.

    Needs about 1.3 GB. Recordings of 10 s or more serve as backgrounds.
    """
    from training.datasets.bgknown import make_bgknown, read_summary
    from training.datasets.sides import find_sides

    made = make_bgknown(find_sides(**sources), out, seed)
    sides = read_summary(made)["sides"]
    lines = [
        f"{side}: {figures['events']} events in {figures['background_files']} files of "
        f"{figures['background_recordings']} background recordings"
        for side, figures in sides.items()
    ]
    tell({"folder": made, "sides": sides} if as_json else {"sides": lines}, as_json=as_json)


@click.command("prepare")
@click.argument("task")
@click.argument("source", type=PLACE)
@click.option("--out", type=PLACE, required=True, help="CSV to write.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Rows of a manifest to take.")
@prints_result
def prepare(task: str, source: Path, out: Path, where: tuple[str, ...]) -> dict[str, str]:
    """Write the metadata of a task for 'evaluate linear'.

    TASK is esc50, us8k, spcv2, vc1, voxforge, cremad, gtzan, nsynth or surge; SOURCE is then the
    unpacked folder of the data set. TASK folder reads a folder with one folder per class, and
    TASK manifest a CSV with the columns path, label, and split or fold.
    """
    from training.datasets.prepare import prepare_task

    return {"summary": prepare_task(task, source, out, where)}


@click.command("pack")
@click.option("--recipe", "name", required=True, help="Recipe whose clips to pack: name or YAML.")
@OVERRIDES
@click.option("--data", type=PLACE, required=True, help="Folder of audio, or CSV manifest.")
@click.option("--out", type=PLACE, required=True, help="File to write.")
@click.option("--max-mib", default=60.0, show_default=True, help="Largest size of it [MiB].")
@CACHE
@prints_result
def pack(
    name: str, overrides: tuple[str, ...], data: Path, out: Path, max_mib: float, cache: Path
) -> dict[str, str]:
    """Write the clips that a recipe trains on into one file, as Opus at the bit rate that fits.

    'pretrain --data FILE' trains on it, on a machine that has nothing else of the data.
    """
    from training.data.clips import TrainingData
    from training.data.pack import write_pack
    from training.recipe import load_recipe

    recipe = load_recipe(name, overrides)
    store = TrainingData(data, cache).open_all(recipe)
    made = write_pack(out, store, recipe, int(max_mib * 2**20))
    summary = (
        f"{made.clips} clips, {made.seconds / 3600:.2f} hours, at {made.bitrate_bps / 1000:.1f} "
        f"kbit/s: {made.size_bytes / 2**20:.1f} MiB"
    )
    return {"file": str(out), "summary": summary}
