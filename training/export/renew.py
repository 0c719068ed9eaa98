"""From a bundle to the same bundle: its encoder's graph and variants written anew."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from service.bundle.files import hash_file, load_bundle, write_manifest
from service.errors import BundleError
from service.inference.encoder import Encoder
from training.export.export import with_files
from training.export.fingerprint import fingerprint
from training.export.gate import Scorer
from training.export.graph import check_parity, write_graph
from training.export.load import load_bundle as load_torch
from training.export.variants import Outcome, add_variants
from training.pretraining.pretrain import Source
from training.recipe import Recipe
from training.reports.cards import put_encoder


def renew(
    folder: Path, source: Source, *, graph: bool = False, scorers: Sequence[Scorer] = ()
) -> list[Outcome]:
    """Give a bundle the variants that its encoder has by this version of the exporter.

    The checkpoint is not needed: the weights stand in the graph. The fingerprint stays, so a
    library made with the bundle goes on. The bundle is replaced when all is done.

    Args:
        folder: The bundle.
        source: The data the encoder was trained on; what was held out then is judged by.
        graph: Write the float32 graph anew too.
        scorers: Further measurements of the gate.

    Returns:
        What became of each variant.

    Raises:
        BundleError: The folder holds no bundle of this encoder.
        DatasetError: The data cannot be used.
        ExportParityError: The new graph differs from the weights of the old one.
    """
    recipe = Recipe.model_validate(load_bundle(folder).manifest.training.recipe)
    trained, held_out = source.open(recipe)
    staged = folder.with_name(folder.name + ".partial")
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(folder, staged)
    if graph:
        rewrite_graph(staged)
    outcomes = add_variants(staged, trained, held_out, recipe.seed, scorers=scorers)
    manifest = load_bundle(staged).manifest
    put_encoder(staged, manifest)
    write_manifest(staged, with_files(staged, manifest))
    shutil.rmtree(folder)
    staged.rename(folder)
    return outcomes


def rewrite_graph(folder: Path) -> None:
    """Write the float32 graph of a bundle anew from the weights in it.

    Raises:
        BundleError: The weights have another fingerprint than the manifest says.
        ExportParityError: The new graph does not compute what its weights say.
    """
    bundle, model = load_bundle(folder), load_torch(folder).model
    if fingerprint(model) != bundle.manifest.encoder.fingerprint:
        raise BundleError(
            f"{folder} was exported by a version whose encoder differs from this one's: "
            f"the same weights have another fingerprint here"
        )
    write_graph(model, bundle.encoder_file)
    parity = check_parity(model, Encoder.open(bundle, device="cpu"))
    files = bundle.manifest.files | {bundle.encoder_file.name: hash_file(bundle.encoder_file)}
    scores = bundle.manifest.scores | {"parity_with_torch": parity}
    manifest = bundle.manifest.model_copy(update={"files": files, "scores": scores})
    write_manifest(folder, manifest)
    Encoder.open(replace(bundle, manifest=manifest), device="cpu").check(bundle)
