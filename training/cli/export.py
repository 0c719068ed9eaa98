"""``minuend-train export`` and ``export-encoder``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli.options import AS_JSON, CACHE, PLACE, prints_result, tell


@click.command("export")
@click.argument("checkpoint", type=PLACE)
@click.option("--out", type=PLACE, required=True, help="Folder of the bundle; names its id.")
@click.option(
    "--data",
    type=PLACE,
    help="Towers: manifest of the clips of their scenes. Encoder: where the data is now, if moved.",
)
@click.option("--scenes", type=PLACE, help="Towers: scenes for their gate, not trained on.")
@click.option("--understanding", type=PLACE, help="Towers: checkpoint of `understanding`.")
@click.option("--composition", type=PLACE, help="Towers: JSON of `composition`.")
@CACHE
@click.option("--any-licence", is_flag=True, help="Towers: for experiments that are not shipped.")
@AS_JSON
def export(  # noqa: PLR0913, PLR0917 - one parameter an option
    checkpoint: Path,
    out: Path,
    data: Path | None,
    scenes: Path | None,
    understanding: Path | None,
    composition: Path | None,
    cache: Path,
    any_licence: bool,
    as_json: bool,
) -> None:
    """Write a bundle from a checkpoint, if its graph computes the same as the torch model.

    CHECKPOINT is that of a run, or the folder of an encoder in parts.
    Int8 and float16 variants that pass their gate are added. A checkpoint of towers is added to an
    existing bundle, which must have the encoder that they were trained on.
    """
    from training.data.clips import TrainingData
    from training.export.export import export as export_encoder
    from training.export.parts import read_encoder
    from training.towers.run import FORMAT

    if read_encoder(checkpoint).get("format") != FORMAT:
        variants: list[str] = []
        report = variants.append if as_json else click.echo
        moved = None if data is None else TrainingData(data, cache)
        bundle = export_encoder(checkpoint, out, data=moved, report=report)
        tell({"bundle": bundle, **({"variants": variants} if as_json else {})}, as_json=as_json)
        return
    if data is None or scenes is None:
        raise click.UsageError("to export towers, give --data and --scenes")
    if composition is not None and understanding is None:
        raise click.UsageError("--composition needs --understanding")

    from training.towers.export.export import ExportInputs, export_towers
    from training.towers.export.understanding import load_inputs
    from training.towers.run import load_towers
    from training.towers.text_cache import TextCache

    inputs = ExportInputs(
        data=data,
        scenes=scenes,
        cache=TextCache(cache / "texts", load_towers(checkpoint).recipe.text),
        understanding=load_inputs(understanding, composition) if understanding else None,
        any_licence=any_licence,
    )
    tell({"bundle": export_towers(checkpoint, out, inputs)}, as_json=as_json)


@click.command("export-encoder")
@click.argument("checkpoint", type=PLACE)
@click.option("--out", type=PLACE, required=True, help="Folder of the encoder in parts.")
@click.option("--part-mib", default=15.0, show_default=True, help="Largest size of a part [MiB].")
@prints_result
def export_encoder(checkpoint: Path, out: Path, part_mib: float) -> dict[str, object]:
    """Write the encoder of a checkpoint, without heads and optimiser, in parts with their hashes.

    'pretrain --init' and 'export' read the folder, on this machine or on another one.
    """
    from training.export.parts import MEBIBYTE, write_parts

    files = write_parts(checkpoint, out, round(part_mib * MEBIBYTE))
    return {"files": [str(path) for path in files]}
