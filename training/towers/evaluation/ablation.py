"""Ablation: the effect of each part of a recipe, on held-out sources of the training side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.bundle.files import Bundle
from service.difference import l2_normalize
from training.scenes.load import SceneSet, load_scenes
from training.towers.bank import label_entries, make_bank
from training.towers.data import TowerData, build_tower_data
from training.towers.evaluation.added_events import AddedEvents
from training.towers.evaluation.evaluate import draw_requests
from training.towers.evaluation.experiment import summarise
from training.towers.evaluation.holdout import without_sources
from training.towers.evaluation.other_recordings import (
    OtherRecordings,
    measure_other_recordings,
)
from training.towers.evaluation.projector import TowerProjector
from training.towers.evaluation.ranks import measure_recall
from training.towers.recipe import TowersRecipe, load_towers_recipe
from training.towers.run import read_about
from training.towers.text_cache import TextCache
from training.towers.train import train_towers
from training.towers.vocabulary import Vocabulary

PAPER = "as the paper trains"
PAPER_RECIPE = "retrieval-paper"
VARIANTS: Mapping[str, Sequence[str]] = {
    "as shipped": (),
    "fixed temperature 0.07": ("loss.learn_temperature=false",),
    "batches at random": ("pairs.per_bed=1",),
    "pairs across": ("pairs.crossed=4",),
    "no reversed pairs": ("pairs.reversed=0",),
    "no difference loss": ("loss.difference=0",),
    "no description loss": ("loss.description=0",),
    "no loss on clean events": ("loss.events=0",),
    "with classification": ("loss.classification=0.5",),
    "contrastive loss only": (
        "loss.difference=0",
        "loss.description=0",
        "loss.events=0",
    ),
    "32 components": ("network.components=32",),
    "256 components": ("network.components=256",),
    "512 components": ("network.components=512",),
    "components as they are": ("network.whiten=0",),
    "components whitened": ("network.whiten=1",),
    "every value of an embedding": ("network.components=null",),
    "inputs not standardised": ("network.components=null", "network.standardise=false"),
    "no unit sphere": ("network.unit=none",),
    "texts of any length": ("network.unit=audio",),
    "no dropout": ("network.dropout=0",),
    "more dropout": ("network.dropout=0.4", "network.input_dropout=0.3"),
    "no weight decay": ("optim.weight_decay=0",),
    "constant rate": ("optim.schedule=constant",),
    "no pairs over other recordings": ("pairs.other_recordings=0",),
    "pairs over other recordings in full": ("loss.other_recordings=1",),
    "references of the same recordings": ("references.other_recordings=0",),
    "weighted difference": ("network.difference=weight",),
    "graded relevance": ("loss.relevance=0.5",),
    "strength not fitted": ("network.fit_strength=false",),
    "no least deviation": ("network.least_std=0",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationSettings:
    """Settings of an ablation.

    Attributes:
        recipe: Name or path of the recipe whose parts are measured.
        overrides: Overrides of that recipe, for all variants.
        train: Folder of the training side.
        held_out: Folder of the held-out sources; pairs that share one are not trained on.
        other: Folder of the same held-out pairs with targets over other recordings, or None.
        bundle: Bundle with the encoder.
        cache: Embeds texts.
        seeds: Trainings of each variant.
        only: Variants to measure; none measures all.
    """

    recipe: str
    overrides: Sequence[str]
    train: Path
    held_out: Path
    bundle: Bundle
    cache: TextCache
    seeds: int
    only: Sequence[str] = ()
    other: Path | None = None


def run_ablation(settings: AblationSettings, report: Callable[[str], None]) -> dict[str, Any]:
    """Train every variant and measure it on the held-out sources.

    Args:
        settings: Settings of the ablation.
        report: Called with a line of text after every variant.

    Returns:
        Figures for a results file.

    Raises:
        DatasetError: A folder is unfinished or embedded by another encoder, or nothing is left.
    """
    fingerprint = settings.bundle.manifest.encoder.fingerprint
    held_out = load_scenes(settings.held_out, fingerprint)
    other = load_scenes(settings.other, fingerprint) if settings.other else None
    trained = without_sources(load_scenes(settings.train, fingerprint), held_out)
    trained = without_sources(trained, other) if other else trained
    recipes = list_recipes(settings)
    test = _HeldOutTest.of(held_out, other, settings.bundle)
    vocabulary = Vocabulary.of(trained)
    built: dict[str, TowerData] = {}  # recipes with the same pairs and texts share their data
    rows: dict[str, Any] = {}
    for name, recipe in recipes.items():
        key = f"{recipe.text.model_dump_json()} {recipe.pairs.model_dump_json()}"
        if key not in built:
            built[key] = build_tower_data(
                trained, vocabulary, settings.cache, recipe, settings.bundle
            )
        measured = []
        for i in range(settings.seeds):
            seeded = recipe.model_copy(update={"seed": recipe.seed + i})
            networks = train_towers(seeded, built[key]).networks
            projector = TowerProjector(networks, settings.cache)
            measured.append(test.measure(projector, vocabulary))
        rows[name] = summarise(measured)
        recall = rows[name]["retrieval"]
        report(f"{name}: R@1 {recall['r_at_1']['mean']:.3f}, R@10 {recall['r_at_10']['mean']:.3f}")
    first = next(iter(recipes.values()))
    return {
        "recipe": first.to_dict(),
        "recipe_sha256": first.sha256(),
        "changed": {PAPER: [PAPER_RECIPE]} | {n: list(v) for n, v in VARIANTS.items()},
        "seeds": [first.seed + i for i in range(settings.seeds)],
        "encoder": fingerprint,
        "trained_pairs": len(trained.pairs),
        "held_out_pairs": len(held_out.pairs),
        "data": {name: read_about(folder) for name, folder in _folders(settings).items()},
        "variants": rows,
    }


def list_recipes(settings: AblationSettings) -> dict[str, TowersRecipe]:
    """Read the recipe of every variant that is asked for."""
    names = settings.only or [*VARIANTS, PAPER]
    return {
        name: load_towers_recipe(PAPER_RECIPE)
        if name == PAPER
        else load_towers_recipe(settings.recipe, [*settings.overrides, *VARIANTS[name]])
        for name in names
    }


def _folders(settings: AblationSettings) -> dict[str, Path]:
    folders = {"train": settings.train, "held_out": settings.held_out, "other": settings.other}
    return {name: folder for name, folder in folders.items() if folder}


@dataclass(frozen=True, slots=True)
class _HeldOutTest:
    """Held-out pairs as they are measured: by search, and by phrases for added events.

    Attributes:
        scenes: The pairs.
        background_ids: Number of the backgrounds of each pair.
        texts: A request for the changes of each pair.
        added: Mixtures to which one event was added.
        other: The pairs with targets over other recordings, or None.
        other_added: Mixtures whose reference is over other recordings, or None.
        bundle: Has the mean and the weight of differences.
    """

    scenes: SceneSet
    background_ids: np.ndarray
    texts: list[str]
    added: AddedEvents
    other: OtherRecordings | None
    other_added: AddedEvents | None
    bundle: Bundle

    @classmethod
    def of(cls, scenes: SceneSet, other: SceneSet | None, bundle: Bundle) -> _HeldOutTest:
        return cls(
            scenes=scenes,
            background_ids=np.array([pair.background_id for pair in scenes.pairs]),
            texts=draw_requests(scenes.pairs),
            added=AddedEvents.of(scenes),
            other=OtherRecordings.of(scenes, other) if other else None,
            other_added=AddedEvents.of(other, only_other=True) if other else None,
            bundle=bundle,
        )

    def measure(self, projector: TowerProjector, vocabulary: Vocabulary) -> dict[str, Any]:
        """Measure recall, and the ranks of the phrases for the added events."""
        text = projector.project_texts(self.texts)
        queries = l2_normalize(projector.project_audio(self.scenes.query) + text)
        items = l2_normalize(projector.project_audio(self.scenes.target))
        bank = make_bank(label_entries(vocabulary), projector.project_texts)
        figures = {
            "retrieval": measure_recall(queries, items, self.background_ids),
            "phrases": self.added.measure(projector, bank, self.bundle),
        }
        if self.other and self.other_added:
            figures["other_recordings"] = measure_other_recordings(self.other, projector)
            figures["other_phrases"] = self.other_added.measure(projector, bank, self.bundle)
        return figures
