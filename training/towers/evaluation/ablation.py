"""What each part of the recipe is worth, measured on held-out sources of the training side."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.bundle.files import Bundle
from service.difference import remainder
from training.scenes.load import SceneSet, load_scenes
from training.towers.bank import make_bank
from training.towers.data import TowerData, gather
from training.towers.evaluation.evaluate import ask
from training.towers.evaluation.experiment import summarise
from training.towers.evaluation.holdout import without_sources
from training.towers.evaluation.phrases import FIRST, rank_of_label
from training.towers.evaluation.ranks import measure, unit
from training.towers.recipe import TowersRecipe, load_recipe
from training.towers.run import ABOUT
from training.towers.text_cache import TextCache
from training.towers.train import train_towers
from training.towers.vectors import TowerVectors
from training.towers.vocabulary import Vocabulary

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
}


PAPER = "as the paper trains"


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationSetting:
    """What an ablation is made of.

    Attributes:
        recipe: Name or path of the recipe whose parts are measured.
        overrides: Of that recipe, for all variants.
        train: Folder of the training side.
        held: Folder of the held-out sources; no pair that shares one with them is trained on.
        bundle: Whose encoder the towers stand on.
        cache: Embeds texts.
        seeds: Trainings of each variant.
        only: Variants to measure; none measures all.
    """

    recipe: str
    overrides: Sequence[str]
    train: Path
    held: Path
    bundle: Bundle
    cache: TextCache
    seeds: int
    only: Sequence[str] = ()


def run_ablation(setting: AblationSetting, show: Callable[[str], None]) -> dict[str, Any]:
    """Train every variant and measure it on the held-out sources.

    Args:
        setting: What to measure.
        show: Is told of every variant when it is done.

    Returns:
        Figures for a results file.

    Raises:
        DatasetError: A folder is unfinished or embedded by another encoder, or nothing is left.
    """
    fingerprint = setting.bundle.manifest.encoder.fingerprint
    held = load_scenes(setting.held, fingerprint)
    trained = without_sources(load_scenes(setting.train, fingerprint), held)
    recipes = list_recipes(setting)
    side, data = _Held.of(held, setting.bundle), _Data(setting, trained)
    rows: dict[str, Any] = {}
    for name, recipe in recipes.items():
        measured = []
        for i in range(setting.seeds):
            seeded = recipe.model_copy(update={"seed": recipe.seed + i})
            towers = train_towers(seeded, data.of(seeded)).towers
            measured.append(side.measure(TowerVectors(towers, setting.cache), data.vocabulary))
        rows[name] = summarise(measured)
        recall = rows[name]["retrieval"]
        show(f"{name}: R@1 {recall['r_at_1']['mean']:.3f}, R@10 {recall['r_at_10']['mean']:.3f}")
    first = next(iter(recipes.values()))
    return {
        "recipe": first.to_dict(),
        "recipe_sha256": first.sha256(),
        "changed": {PAPER: ["retrieval-paper"]} | {n: list(v) for n, v in VARIANTS.items()},
        "seeds": [first.seed + i for i in range(setting.seeds)],
        "encoder": fingerprint,
        "trained_pairs": len(trained.pairs),
        "held_out_pairs": len(held.pairs),
        "data": {
            name: json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            for name, folder in (("train", setting.train), ("held_out", setting.held))
        },
        "variants": rows,
    }


def list_recipes(setting: AblationSetting) -> dict[str, TowersRecipe]:
    """Resolve the recipe of every variant that is asked for."""
    names = setting.only or [*VARIANTS, PAPER]
    return {
        name: load_recipe("retrieval-paper")
        if name == PAPER
        else load_recipe(setting.recipe, [*setting.overrides, *VARIANTS[name]])
        for name in names
    }


class _Data:
    """The training data, by what of a recipe it depends on."""

    def __init__(self, setting: AblationSetting, scenes: SceneSet) -> None:
        self._setting = setting
        self._scenes = scenes
        self._made: dict[str, TowerData] = {}
        self.vocabulary = Vocabulary.of(scenes)

    def of(self, recipe: TowersRecipe) -> TowerData:
        """Make the data of a recipe, or take what is there."""
        key = f"{recipe.text.model_dump_json()} {recipe.pairs.crossed}"
        if key not in self._made:
            setting = self._setting
            self._made[key] = gather(
                self._scenes, self.vocabulary, setting.cache, recipe, setting.bundle
            )
        return self._made[key]


@dataclass(frozen=True, slots=True)
class _Held:
    """Held-out pairs as they are measured: searched for, and told apart in words."""

    scenes: SceneSet
    beds: np.ndarray
    texts: list[str]
    remains: np.ndarray
    labels: list[str]

    @classmethod
    def of(cls, scenes: SceneSet, bundle: Bundle) -> _Held:
        query, target = (np.asarray(x, np.float32) for x in (scenes.query, scenes.target))
        remains, labels = [], []
        for row, pair in enumerate(scenes.pairs):
            for each, ends in ((pair, (target, query)), (pair.reversed, (query, target))):
                if [change.kind for change in each.changes] == ["add"]:
                    weight = bundle.manifest.difference.reference_weight
                    mixture, reference = ends[0][row], ends[1][row]
                    remains.append(remainder(mixture, reference, bundle.mean, weight))
                    labels.append(each.changes[0].label)
        beds = np.array([pair.bed for pair in scenes.pairs])
        return cls(scenes, beds, ask(scenes.pairs), np.stack(remains), labels)

    def measure(self, vectors: TowerVectors, vocabulary: Vocabulary) -> dict[str, Any]:
        queries = unit(vectors.audio(self.scenes.query) + vectors.text(self.texts))
        items = unit(vectors.audio(self.scenes.target))
        bank = make_bank(vocabulary, vectors.text)
        ranks = rank_of_label(unit(vectors.audio(self.remains)), bank, self.labels)
        return {
            "retrieval": measure(queries, items, self.beds),
            "phrases": {
                "mixtures": len(self.labels),
                "first": float((ranks == 1).mean()),
                "among_five": float((ranks <= FIRST).mean()),
            },
        }
