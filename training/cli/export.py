"""``minuend-train export``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli.options import AS_JSON, CACHE, PLACE, tell


@click.command("export")
@click.argument("checkpoint", type=PLACE)
@click.option("--out", type=PLACE, required=True, help="Folder of the bundle; names its id.")
@click.option("--data", type=PLACE, help="Towers: manifest of the clips of their scenes.")
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

    Int8 and float16 variants that pass their gate are added. A checkpoint of towers is added to an
    existing bundle, which must have the encoder that they were trained on.
    """
    from training.export.export import export as export_encoder
    from training.pretraining.checkpoint import load_checkpoint
    from training.towers.run import FORMAT

    if load_checkpoint(checkpoint).get("format") != FORMAT:
        variants: list[str] = []
        report = variants.append if as_json else click.echo
        bundle = export_encoder(checkpoint, out, report=report)
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
