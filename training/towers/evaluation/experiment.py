"""One experiment: towers of several seeds, beside the baselines that tell luck from skill."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from service.bundle.files import Bundle
from service.difference import centre, remainder
from training.scenes.load import SceneSet, load_scenes
from training.towers.bank import make_bank
from training.towers.evaluation.arithmetic import choose_step, find_centroids, move
from training.towers.evaluation.evaluate import TestSide, evaluate_towers, prepare
from training.towers.evaluation.phrases import FIRST, probe_top, rank_of_label
from training.towers.evaluation.ranks import chance, measure, unit
from training.towers.recipe import TowersRecipe
from training.towers.run import ABOUT, CHECKPOINT, LoadedTowers, load_towers, train_retrieval
from training.towers.text_cache import TextCache
from training.towers.vectors import TowerVectors

# Two-sided 95 % quantiles of Student's t for 1, 2 ... degrees of freedom.
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)

Query = Literal["both", "audio", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What an experiment is made of.

    Attributes:
        recipe: Of the towers; its seed is the first one.
        train: Folder of the training side.
        test: Folder of the test side.
        mixtures: Folder of the mixtures that phrases are tested on, or None.
        bundle: Whose encoder the towers stand on.
        runs: Where checkpoints go; one of the same recipe, data and encoder is used again.
        cache: Embeds texts.
        seeds: How many trainings.
    """

    recipe: TowersRecipe
    train: Path
    test: Path
    mixtures: Path | None
    bundle: Bundle
    runs: Path
    cache: TextCache
    seeds: int


def run_experiment(setting: Setting) -> dict[str, Any]:
    """Train where needed, measure, and summarise over the seeds.

    Returns:
        Figures for a results file. Every figure of towers has its mean over the seeds, the half
        width of its 95 % interval and its values.

    Raises:
        DatasetError: A folder is unfinished, or embedded by another encoder.
        DivergenceError: A training failed.
        TextEncoderError: The text encoder's files are missing or not the ones meant.
    """
    fingerprint = setting.bundle.manifest.encoder.fingerprint
    train, test = (load_scenes(folder, fingerprint) for folder in (setting.train, setting.test))
    side = prepare(test)
    measured = [_measure_seed(setting, setting.recipe.seed + i, side) for i in range(setting.seeds)]
    figures: dict[str, Any] = summarise(measured)
    figures["systems"] |= _baselines(train, side, setting.bundle)
    if setting.mixtures:
        figures["phrases"]["linear_probe"] = _probe(train, test)
    return _identity(setting) | {"test_pairs": len(test.pairs)} | figures


def summarise(values: Sequence[Any]) -> Any:
    """Summarise figures of the same shape over seeds, mappings key by key.

    A figure becomes its mean, the half width of its 95 % interval by Student's t (None for a
    single value) and its values; counts, which do not depend on the seed, stay as they are.
    """
    if isinstance(values[0], Mapping):
        return {key: summarise([value[key] for value in values]) for key in values[0]}
    if isinstance(values[0], int):
        return values[0]
    n = len(values)
    half = T_95[n - 2] * statistics.stdev(values) / math.sqrt(n) if n > 1 else None
    return {
        "mean": round(statistics.fmean(values), 5),
        "interval": half if half is None else round(half, 5),
        "values": [round(value, 5) for value in values],
    }


def obtain(setting: Setting, query: Query, seed: int) -> LoadedTowers:
    """Train towers whose query has both terms or one, or take them from an earlier run."""
    network = setting.recipe.network.model_copy(update={"query": query})
    recipe = setting.recipe.model_copy(update={"network": network, "seed": seed})
    folder = setting.runs / f"{query}-{seed}"
    if (folder / CHECKPOINT).is_file():
        found = load_towers(folder / CHECKPOINT)
        about = json.loads((setting.train / ABOUT).read_text(encoding="utf-8"))
        is_same = found.recipe.sha256() == recipe.sha256() and found.data == about
        if is_same and found.encoder == setting.bundle.manifest.encoder.fingerprint:
            return found
    return load_towers(
        train_retrieval(recipe, setting.train, setting.bundle, folder, setting.cache)
    )


def _measure_seed(setting: Setting, seed: int, side: TestSide) -> dict[str, Any]:
    both = obtain(setting, "both", seed)
    vectors = TowerVectors(both.towers, setting.cache)
    figures = evaluate_towers(side, vectors)
    for query in ("audio", "text"):
        own = TowerVectors(obtain(setting, query, seed).towers, setting.cache)
        scenes = side.scenes
        queries = own.audio(scenes.query) if query == "audio" else own.text(side.texts["seen"])
        items = unit(own.audio(scenes.target))
        figures["systems"][f"{query}_only"] = measure(unit(queries), items, side.beds)
    if setting.mixtures:
        figures["phrases"] = _phrases(setting, both, vectors)
    return figures


def _phrases(setting: Setting, loaded: LoadedTowers, vectors: TowerVectors) -> dict[str, Any]:
    """Name what was added to unseen mixtures, as ``/difference`` does."""
    assert setting.mixtures is not None
    bundle = setting.bundle
    scenes = load_scenes(setting.mixtures, bundle.manifest.encoder.fingerprint)
    weight = bundle.manifest.difference.reference_weight
    mixture, reference = (np.asarray(x, np.float32) for x in (scenes.target, scenes.query))
    remains = unit(vectors.audio(remainder(mixture, reference, bundle.mean, weight)))
    bank = make_bank(loaded.vocabulary, vectors.text)
    labels = [pair.changes[0].label for pair in scenes.pairs]
    figures: dict[str, Any] = {"mixtures": len(labels), "phrases": len(bank)}
    events = [phrase for phrase in bank if phrase.kind == "event"]
    for name, entries in (("whole_bank", bank), ("events_only", events)):
        ranks = rank_of_label(remains, entries, labels)
        first, five = (float((ranks <= k).mean()) for k in (1, FIRST))
        figures[name] = {"first": first, "among_five": five}
    return figures


def _baselines(train: SceneSet, side: TestSide, bundle: Bundle) -> dict[str, Any]:
    """Measure what needs no towers: embeddings as they are, arithmetic, and chance."""
    mean, pairs = bundle.mean, side.scenes.pairs
    query = centre(np.asarray(side.scenes.query, np.float32), mean)
    items = centre(np.asarray(side.scenes.target, np.float32), mean)
    centroids = find_centroids(train, mean)
    step = choose_step(train, mean, centroids)
    moved = move(query, pairs, centroids, step)
    return {
        "embedding_alone": measure(query, items, side.beds),
        "arithmetic": measure(moved, items, side.beds) | {"step": step},
        "random": chance(side.beds),
    }


def _probe(train: SceneSet, test: SceneSet) -> dict[str, float]:
    inputs = [np.asarray(scenes.events, np.float32) for scenes in (train, test)]
    labels = [[row.label for row in scenes.event_rows] for scenes in (train, test)]
    return probe_top(inputs[0], labels[0], inputs[1], labels[1])


def _identity(setting: Setting) -> dict[str, Any]:
    """Say what was measured: recipe, encoder, data, seeds."""
    folders = {"train": setting.train, "test": setting.test, "mixtures": setting.mixtures}
    manifest = setting.bundle.manifest
    return {
        "recipe": setting.recipe.to_dict(),
        "recipe_sha256": setting.recipe.sha256(),
        "seeds": [setting.recipe.seed + i for i in range(setting.seeds)],
        "bundle": manifest.id,
        "encoder": manifest.encoder.fingerprint,
        "encoder_recipe": manifest.training.recipe,
        "encoder_samples_seen": manifest.training.samples_seen,
        "text_encoder": setting.cache.files.sha256,
        "data": {
            name: json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            for name, folder in folders.items()
            if folder
        },
    }
