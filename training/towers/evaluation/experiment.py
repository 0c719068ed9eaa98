"""An experiment: towers of several seeds, beside baselines (docs/method.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from service.bundle.files import Bundle
from service.difference import centre, l2_normalize
from training.evaluation.interval import estimate
from training.scenes.load import SceneSet, load_scenes
from training.towers.bank import make_bank
from training.towers.evaluation.arithmetic import add_centroids, choose_step, find_centroids
from training.towers.evaluation.evaluate import EvaluationSet, evaluate_towers, prepare_evaluation
from training.towers.evaluation.other_recordings import (
    OtherRecordings,
    measure_embeddings,
    measure_other_recordings,
)
from training.towers.evaluation.phrases import probe_events, rank_labels, share_among_first
from training.towers.evaluation.projector import TowerProjector
from training.towers.evaluation.ranks import chance_recall, measure_recall
from training.towers.recipe import TowersRecipe
from training.towers.run import CHECKPOINT, LoadedTowers, load_towers, read_about, train_retrieval
from training.towers.text_cache import TextCache

QueryTerms = Literal["both", "audio", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentSettings:
    """Settings of an experiment.

    Attributes:
        recipe: Recipe of the towers; its seed is the first one.
        train: Folder of the training side.
        test: Folder of the test side.
        mixtures: Folder of the mixtures that phrases are tested on, or None.
        captions: Folder of windows with captions, or None.
        other: Folder of the test side with targets over other recordings, or None.
        other_mixtures: Folder of mixtures whose references are other recordings, or None.
        bundle: Bundle with the encoder.
        runs: Folder of the checkpoints; one of the same recipe, data and encoder is reused.
        cache: Embeds texts.
        seeds: Number of trainings.
    """

    recipe: TowersRecipe
    train: Path
    test: Path
    mixtures: Path | None
    captions: Path | None = None
    other: Path | None = None
    other_mixtures: Path | None = None
    bundle: Bundle
    runs: Path
    cache: TextCache
    seeds: int


def run_experiment(settings: ExperimentSettings) -> dict[str, Any]:
    """Train where needed, measure, and summarise over the seeds.

    Returns:
        Figures for a results file. Every figure of towers has its mean over the seeds, the half
        width of its 95 % interval and its values.

    Raises:
        DatasetError: A folder is unfinished, or embedded by another encoder.
        DivergenceError: A training failed.
        TextEncoderError: The files of the text encoder are missing, or the weights have another
            hash.
    """
    fingerprint = settings.bundle.manifest.encoder.fingerprint
    train, test = (load_scenes(folder, fingerprint) for folder in (settings.train, settings.test))
    prepared, other = prepare_evaluation(test), _load_other(settings, test)
    seeds = range(settings.recipe.seed, settings.recipe.seed + settings.seeds)
    figures: dict[str, Any] = summarise(
        [_measure_seed(settings, s, prepared, other) for s in seeds]
    )
    figures["systems"] |= _measure_baselines(train, prepared, settings.bundle)
    if other:
        embeddings = measure_embeddings(other, settings.bundle.mean)
        figures["other_recordings"]["systems"]["embedding_alone"] = embeddings
    if settings.mixtures:
        figures["phrases"]["linear_probe"] = _probe(train, test)
    return _describe(settings) | {"test_pairs": len(test.pairs)} | figures


def summarise(values: Sequence[Any]) -> Any:
    """Summarise figures of the same shape over seeds, mappings key by key.

    A figure becomes its mean, the half width of its 95 % interval (None for a single value) and
    its values (docs/method.md, "Confidence interval"). Counts, which do not depend on the seed,
    stay as they are.
    """
    if isinstance(values[0], Mapping):
        return {key: summarise([value[key] for value in values]) for key in values[0]}
    if isinstance(values[0], int):
        return values[0]
    mean, half_width = estimate(values)
    return {
        "mean": round(mean, 5),
        "interval": round(half_width, 5) if len(values) > 1 else None,
        "values": [round(value, 5) for value in values],
    }


def load_or_train(settings: ExperimentSettings, query: QueryTerms, seed: int) -> LoadedTowers:
    """Load towers of an earlier run, or train them, with both terms of the query or one."""
    network = settings.recipe.network.model_copy(update={"query": query})
    recipe = settings.recipe.model_copy(update={"network": network, "seed": seed})
    folder = settings.runs / f"{query}-{seed}"
    if (folder / CHECKPOINT).is_file():
        found = load_towers(folder / CHECKPOINT)
        is_same = found.recipe.sha256() == recipe.sha256()
        is_same &= found.data == read_about(settings.train)
        if is_same and found.encoder == settings.bundle.manifest.encoder.fingerprint:
            return found
    data = (settings.train, settings.bundle, folder, settings.cache)
    return load_towers(train_retrieval(recipe, *data, captions=settings.captions))


def _load_other(settings: ExperimentSettings, test: SceneSet) -> OtherRecordings | None:
    if settings.other is None:
        return None
    fingerprint = settings.bundle.manifest.encoder.fingerprint
    return OtherRecordings.of(test, load_scenes(settings.other, fingerprint))


def _measure_seed(
    settings: ExperimentSettings, seed: int, test: EvaluationSet, other: OtherRecordings | None
) -> dict[str, Any]:
    both = load_or_train(settings, "both", seed)
    projector = TowerProjector(both.networks, settings.cache)
    figures = evaluate_towers(test, projector)
    terms: tuple[QueryTerms, ...] = ("audio", "text")
    for term in terms:
        single = TowerProjector(load_or_train(settings, term, seed).networks, settings.cache)
        queries = (
            single.project_audio(test.scenes.query)
            if term == "audio"
            else single.project_texts(test.texts["seen"])
        )
        items = l2_normalize(single.project_audio(test.scenes.target))
        recall = measure_recall(l2_normalize(queries), items, test.background_ids)
        figures["systems"][f"{term}_only"] = recall
    if other:
        figures["other_recordings"] = measure_other_recordings(other, projector)
    mixtures = {"phrases": settings.mixtures, "phrases_other": settings.other_mixtures}
    for name, folder in mixtures.items():
        if folder:
            figures[name] = _measure_phrases(folder, settings.bundle, both, projector)
    return figures


def _measure_phrases(
    mixtures: Path, bundle: Bundle, loaded: LoadedTowers, projector: TowerProjector
) -> dict[str, Any]:
    """Rank the phrases for events that were added to unseen mixtures, as ``/difference`` does."""
    scenes = _only_other(load_scenes(mixtures, bundle.manifest.encoder.fingerprint))
    weight = bundle.manifest.difference.reference_weight
    vectors = l2_normalize(
        projector.project_differences(scenes.target, scenes.query, bundle.mean, weight)
    )
    bank = make_bank(loaded.bank, projector.project_texts)
    labels = [pair.changes[0].label for pair in scenes.pairs]
    figures: dict[str, Any] = {"mixtures": len(labels), "phrases": len(bank)}
    events = [phrase for phrase in bank if phrase.kind == "event"]
    for name, phrases in (("whole_bank", bank), ("events_only", events)):
        figures[name] = share_among_first(rank_labels(vectors, phrases, labels))
    return figures


def _only_other(scenes: SceneSet) -> SceneSet:
    """Leave out the pairs over the same recordings, if some are over others."""
    rows = [i for i, pair in enumerate(scenes.pairs) if pair.target_backgrounds is not None]
    if not rows:
        return scenes
    return replace(
        scenes,
        pairs=[scenes.pairs[row] for row in rows],
        query=np.asarray(scenes.query)[rows],
        target=np.asarray(scenes.target)[rows],
    )


def _measure_baselines(train: SceneSet, test: EvaluationSet, bundle: Bundle) -> dict[str, Any]:
    """Measure systems without towers: plain embeddings, arithmetic, and chance."""
    mean, pairs = bundle.mean, test.scenes.pairs
    query = centre(np.asarray(test.scenes.query, np.float32), mean)
    items = centre(np.asarray(test.scenes.target, np.float32), mean)
    centroids = find_centroids(train, mean)
    step = choose_step(train, mean, centroids)
    moved = add_centroids(query, pairs, centroids, step)
    return {
        "embedding_alone": measure_recall(query, items, test.background_ids),
        "arithmetic": measure_recall(moved, items, test.background_ids) | {"step": step},
        "random": chance_recall(test.background_ids),
    }


def _probe(train: SceneSet, test: SceneSet) -> dict[str, float]:
    inputs = [np.asarray(scenes.events, np.float32) for scenes in (train, test)]
    labels = [[row.label for row in scenes.event_rows] for scenes in (train, test)]
    return probe_events(inputs[0], labels[0], inputs[1], labels[1])


def _describe(settings: ExperimentSettings) -> dict[str, Any]:
    """Describe the measurement: recipe, encoder, data, seeds."""
    folders = {"train": settings.train, "test": settings.test, "mixtures": settings.mixtures}
    folders |= {"other": settings.other, "other_mixtures": settings.other_mixtures}
    manifest = settings.bundle.manifest
    return {
        "recipe": settings.recipe.to_dict(),
        "recipe_sha256": settings.recipe.sha256(),
        "seeds": [settings.recipe.seed + i for i in range(settings.seeds)],
        "bundle": manifest.id,
        "encoder": manifest.encoder.fingerprint,
        "encoder_recipe": manifest.training.recipe,
        "encoder_samples_seen": manifest.training.samples_seen,
        "text_encoder": settings.cache.files.sha256,
        "data": {name: read_about(folder) for name, folder in folders.items() if folder},
    }
