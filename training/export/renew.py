"""Renew parts of a bundle in place: its documents, its variants, or its encoder's graph."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from service.bundle.files import hash_file, load_bundle, write_manifest
from service.concurrency.durable import staged_folder
from service.errors import BundleError
from service.inference.encoder import Encoder
from training.data.clips import TrainingData
from training.export.export import with_files
from training.export.fingerprint import fingerprint
from training.export.gate import Scorer
from training.export.graph import check_parity, write_graph
from training.export.load import load_bundle as load_torch
from training.export.variants import VariantOutcome, add_variants
from training.recipe import Recipe
from training.reports.cards import CARD, put_encoder


def renew_documents(folder: Path) -> None:
    """Write a bundle's manifest, and the encoder's part of its card if it has one, again.

    Raises:
        BundleError: The folder is no bundle, or the bundle is damaged.
    """
    manifest = load_bundle(folder).manifest
    with staged_folder(folder, replace=True) as staged:
        shutil.copytree(folder, staged, dirs_exist_ok=True)
        if (staged / CARD).is_file():
            put_encoder(staged, manifest)
        write_manifest(staged, with_files(staged, manifest))


def renew_variants(
    folder: Path, data: TrainingData, *, graph: bool = False, scorers: Sequence[Scorer] = ()
) -> list[VariantOutcome]:
    """Make the variants of a bundle's encoder again, by this version of the exporter.

    No checkpoint is needed, since the weights are in the graph. The fingerprint stays, so
    libraries made with the bundle stay valid. The bundle is replaced when everything is done.

    Args:
        folder: The bundle.
        data: The data that the encoder was trained on; the gate uses the clips held out then.
        graph: Write the float32 graph again, too.
        scorers: Further measurements of the gate.

    Returns:
        The outcome of each variant.

    Raises:
        BundleError: The folder holds no bundle of this encoder.
        DatasetError: The data cannot be used.
        ExportParityError: The new graph differs from the weights of the old one.
    """
    recipe = Recipe.model_validate(load_bundle(folder).manifest.training.recipe)
    trained, held_out = data.open(recipe)
    with staged_folder(folder, replace=True) as staged:
        shutil.copytree(folder, staged, dirs_exist_ok=True)
        if graph:
            rewrite_graph(staged)
        outcomes = add_variants(staged, trained, held_out, recipe.seed, scorers=scorers)
        manifest = load_bundle(staged).manifest
        put_encoder(staged, manifest)
        write_manifest(staged, with_files(staged, manifest))
    return outcomes


def rewrite_graph(folder: Path) -> None:
    """Write the float32 graph of a bundle again, from the weights in it.

    Raises:
        BundleError: The weights do not have the fingerprint in the manifest.
        ExportParityError: The new graph does not compute what a model of these weights computes.
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
