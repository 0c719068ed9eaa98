"""The sweep: train, export and measure for several lambdas, on the same data and seeds.

A step whose result exists is skipped, so a sweep that was stopped can be continued.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from service.bundle.files import MANIFEST_FILE, load_bundle
from training.data.clips import TrainingData
from training.data.manifest import read_clips
from training.datasets.bgknown import make_bgknown
from training.datasets.prepare import MANIFEST, prepare_task
from training.datasets.sides import find_sides
from training.errors import CheckpointError, DatasetError
from training.evaluation.measure import (
    BGKNOWN,
    LINEAR,
    SEPARATION,
    SWEEP,
    Measurement,
    measure_bgknown,
    measure_linear,
    measure_separate,
)
from training.evaluation.probe import Monitor
from training.export.export import export
from training.export.variants import KINDS, Kind
from training.pretraining.pretrain import CHECKPOINT, pretrain
from training.recipe import Recipe, load_recipe, with_defaults
from training.results import put_row, read_rows

TRAIN_FOLDS = "1,2,3"
MONITORS: tuple[Monitor, ...] = ("loss", "accuracy")
PAIRS = 500


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep over lambda and seeds of pre-training.

    Attributes:
        recipe: Name of a shipped recipe, or path of a recipe.
        overrides: Settings of all runs.
        data: Audio and cache; the manifest must contain ESC-50 and backgrounds.
        out: Folder of runs, bundles and data sets.
        results: Folder of the results files.
        init: Bundle whose encoder all runs start from; None starts from scratch.
        kinds: Variants of the exported encoders, see ``training.export.variants``.
    """

    recipe: str
    overrides: Sequence[str]
    data: TrainingData
    out: Path
    results: Path
    init: Path | None = None
    kinds: Sequence[Kind] = KINDS

    def run(self, lambdas: Iterable[str], seeds: Sequence[int]) -> list[Path]:
        """Train, export and measure every run; write its row of ``sweep.json``.

        Args:
            lambdas: Weights of the difference loss, as in the names of the runs.
            seeds: Seeds of pre-training; empty takes the recipe's.

        Returns:
            The bundles.

        Raises:
            TrainingError: A run failed; the sweep stops.
        """
        if not self.data.path.is_file():
            raise DatasetError(f"a sweep needs a manifest, and {self.data.path} is none")
        runs = [(weight, seed) for weight in lambdas for seed in seeds or (None,)]
        recipes = [self.load(weight, seed) for weight, seed in runs]
        bundles = []
        for recipe in recipes:
            bundle = self.make(recipe)
            self.measure(bundle)
            bundles.append(bundle)
        return bundles

    def load(self, weight: str, seed: int | None) -> Recipe:
        """Read the recipe of one run."""
        settings = [*self.overrides, f"loss.lambda={weight}"]
        return load_recipe(self.recipe, settings + ([f"seed={seed}"] if seed is not None else []))

    def name(self, recipe: Recipe) -> str:
        """Return the name of a run: recipe, lambda, and the seed if it is not the recipe's."""
        own = load_recipe(self.recipe, list(self.overrides)).seed
        seed = "" if recipe.seed == own else f"-seed{recipe.seed}"
        return f"{recipe.name}-{recipe.loss.lambda_:g}{seed}"

    def make(self, recipe: Recipe) -> Path:
        """Train a run to its end and export it, unless its bundle exists."""
        run, bundle = self.out / self.name(recipe), self.bundle(recipe)
        if (bundle / MANIFEST_FILE).is_file():
            # Not by the recipe's hash, which changes when a setting is added to the format.
            found = load_bundle(bundle).manifest.training.recipe
            if with_defaults(found) != recipe.to_dict():
                raise CheckpointError(f"{bundle} was made by another recipe; choose another --out")
            return bundle
        resume = (run / CHECKPOINT).is_file()
        checkpoint = pretrain(recipe, self.data, run, init=self.init, resume=resume)
        bundle.parent.mkdir(parents=True, exist_ok=True)
        return export(checkpoint, bundle, kinds=self.kinds)

    def bundle(self, recipe: Recipe) -> Path:
        """Return the folder of the bundle of a run."""
        return self.out / "bundles" / self.name(recipe)

    def measure(self, bundle: Path) -> None:
        """Measure a bundle in three ways and write the results as one row."""
        manifest = load_bundle(bundle).manifest
        fingerprint = manifest.encoder.fingerprint
        measurement = Measurement(str(bundle), "bundle", self.results, self.data.cache)
        for monitor in MONITORS:
            if not self.rows(BGKNOWN, fingerprint, monitor=monitor):
                measure_bgknown(self.bgknown(), replace(measurement, monitor=monitor))
        if not self.rows(LINEAR, fingerprint, "esc50"):
            measure_linear("esc50", self.esc50(), measurement, train_folds=TRAIN_FOLDS)
        if not self.rows(SEPARATION, fingerprint):
            drawn = Measurement(str(bundle), "bundle", self.results, self.data.cache, (42,))
            measure_separate(self.data.path, drawn, PAIRS, None)
        by_loss, by_accuracy = (
            self.rows(BGKNOWN, fingerprint, monitor=monitor)[-1] for monitor in MONITORS
        )
        (linear,) = self.rows(LINEAR, fingerprint, "esc50")[-1:]
        (separation,) = self.rows(SEPARATION, fingerprint)[-1:]
        weight = f"{separation['reference_weight']:g}"
        put_row(
            self.results / SWEEP,
            {"encoder": fingerprint},
            {
                "encoder": by_loss["encoder"],
                "bgknown": by_loss["accuracy"],
                "bgknown_by_accuracy": by_accuracy["accuracy"],
                "esc50_folds_1_3_to_4_5": linear["accuracy"],
                "separation_at_0_db": {
                    "reference_weight": separation["reference_weight"],
                    "mixture": separation["by_snr_db_and_weight"]["0"]["0"],
                    "difference": separation["by_snr_db_and_weight"]["0"][weight],
                },
            },
        )

    def rows(
        self,
        file: str,
        fingerprint: str,
        task: str | None = None,
        monitor: Monitor = "loss",
    ) -> list[dict[str, Any]]:
        """Find the rows of one measurement of an encoder, with the settings of the sweep."""
        return [
            row
            for row in read_rows(self.results / file)
            if row["key"]["encoder"] == fingerprint
            and row["key"]["statistics"] == "bundle"
            and row.get("task") == task
            and row.get("train_folds") in (None, [1, 2, 3])
            and row["key"].get("coefficient", 1.0) == 1.0
            and row["key"].get("monitor", "loss") == monitor
        ]

    def bgknown(self) -> Path:
        """Make Background-known ESC-50 from the manifest, unless it exists."""
        folder = self.out / "bgknown"
        if not folder.is_dir():
            make_bgknown(find_sides(self.data.path, self.data.path), folder, seed=42)
        return folder

    def esc50(self) -> Path:
        """Prepare ESC-50 from the manifest, unless that was done."""
        metadata = self.out / "esc50.csv"
        if not metadata.is_file():
            prepare_task(MANIFEST, self.data.path, metadata, ["corpus=esc50"])
        return metadata


def describe_plan(sweep: Sweep, lambdas: Iterable[str], seeds: Sequence[int]) -> str:
    """List the runs of a sweep and the number of clips, before it starts."""
    names = [sweep.name(sweep.load(w, seed)) for w in lambdas for seed in seeds or (None,)]
    return f"{len(names)} runs on {len(read_clips(sweep.data.path))} clips: {', '.join(names)}"
