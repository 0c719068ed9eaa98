"""Trials: runs that differ in settings, each trained, exported and measured as in a sweep.

A trial whose results file exists is skipped, and a stopped one goes on at its last finished part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from service.bundle.files import load_bundle
from training.data.clips import TrainingData
from training.errors import DatasetError, RecipeError
from training.evaluation.measure import SWEEP
from training.pretraining.pretrain import CHECKPOINT
from training.recipe import Recipe, with_defaults
from training.recipe_files import RecipeFile, Section, read_recipe
from training.results import read_result, read_rows, write_result
from training.sweep import Sweep

FOLDER = "trials"


class Trial(Section):
    """One trial of a plan.

    Attributes:
        name: Its name, without lambda and seed.
        lambda_: Weight of the difference loss.
        settings: Settings ``section.key=value`` that it adds to those of the plan.
        after: Full name of the trial whose encoder it starts from, of the same seed.
        against: Full name of the trial that a report compares it with.
    """

    name: str
    lambda_: Annotated[float, Field(ge=0.0, le=1.0, alias="lambda")]
    settings: list[str] = Field(default_factory=list)
    after: str | None = None
    against: str | None = None

    @property
    def full_name(self) -> str:
        """Name with lambda."""
        return f"{self.name}-{self.lambda_:g}"


class TrialPlan(RecipeFile):
    """A list of trials.

    Attributes:
        recipe: Recipe of all trials.
        settings: Settings ``section.key=value`` of all trials.
        trials: The trials, in order.
    """

    recipe: str
    settings: list[str] = Field(default_factory=list)
    trials: Annotated[list[Trial], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names: list[str] = []
        for trial in self.trials:
            if trial.full_name in names:
                raise ValueError(f"two trials are named {trial.full_name}")
            for other in (trial.after, trial.against):
                if other is not None and other not in names:
                    raise ValueError(f"{trial.full_name} names {other}, which is not above it")
            names.append(trial.full_name)
        return self


def load_plan(name: str) -> TrialPlan:
    """Read a shipped plan by its name, or a YAML file by its path.

    Raises:
        RecipeError: Lists every fault of the file.
    """
    return read_recipe(TrialPlan, name, (), FOLDER)


@dataclass(frozen=True, slots=True)
class Trials:
    """The trials of a plan, with several seeds of pre-training.

    Attributes:
        plan: The trials.
        data: Audio and cache; the manifest must contain ESC-50 and backgrounds.
        out: Folder of runs, bundles, data sets and single measurements.
        results: Folder of the results; each trial has a file below ``trials`` and the plan's name.
        seeds: Seeds of pre-training.
        only: Full names of the trials to run; empty runs all.
    """

    plan: TrialPlan
    data: TrainingData
    out: Path
    results: Path
    seeds: Sequence[int]
    only: Sequence[str] = ()

    def chosen(self) -> Iterator[tuple[Trial, int]]:
        """Yield trials and seeds: all trials of the first seed, then those of the next one.

        Raises:
            RecipeError: A chosen name is no trial of the plan.
        """
        names = {trial.full_name for trial in self.plan.trials}
        if unknown := set(self.only) - names:
            raise RecipeError(
                f"no trials {', '.join(sorted(unknown))}; the plan has {', '.join(sorted(names))}"
            )
        for seed in self.seeds:
            for trial in self.plan.trials:
                if not self.only or trial.full_name in self.only:
                    yield trial, seed

    def run(self) -> list[Path]:
        """Train, export and measure every chosen trial; write its results file.

        Returns:
            The results files.

        Raises:
            TrainingError: A trial failed; the later ones are not started.
        """
        chosen = list(self.chosen())
        for trial, seed in chosen:
            self.sweep(trial, seed).load(f"{trial.lambda_:g}", seed)  # faults, before any training
        return [self.run_one(trial, seed) for trial, seed in chosen]

    def run_one(self, trial: Trial, seed: int) -> Path:
        """Run one trial, unless its results file exists; then its checkpoint is removed.

        Raises:
            DatasetError: The file has the results of other settings.
        """
        sweep, weight = self.sweep(trial, seed), f"{trial.lambda_:g}"
        recipe = sweep.load(weight, seed)
        path = self.results / FOLDER / self.plan.name / f"{trial.full_name}-seed{seed}.json"
        if path.is_file():
            _check(path, recipe)
            return path
        (bundle,) = sweep.run([weight], [seed])
        fingerprint = load_bundle(bundle).manifest.encoder.fingerprint
        rows = read_rows(sweep.results / SWEEP)
        (row,) = (row for row in rows if row["key"]["encoder"] == fingerprint)
        about = {
            "trial": trial.full_name,
            "order": self.plan.trials.index(trial),
            "settings": trial.settings,
            "after": trial.after,
            "against": trial.against,
            "seed": seed,
        }
        write_result(path, {**about, **row})
        (self.out / sweep.name(recipe) / CHECKPOINT).unlink(missing_ok=True)
        return path

    def sweep(self, trial: Trial, seed: int) -> Sweep:
        """Make the sweep of one lambda and seed that the trial is."""
        settings = [*self.plan.settings, *trial.settings, f"name={trial.name}"]
        init = None
        if trial.after is not None:
            (before,) = (it for it in self.plan.trials if it.full_name == trial.after)
            first = self.sweep(before, seed)
            init = first.bundle(first.load(f"{before.lambda_:g}", seed))
        measured = self.out / "measured"
        return Sweep(self.plan.recipe, settings, self.data, self.out, measured, init=init, kinds=())


def _check(path: Path, recipe: Recipe) -> None:
    if with_defaults(read_result(path)["encoder"]["recipe"]) != recipe.to_dict():
        raise DatasetError(f"{path} has the results of other settings; move it away to run anew")
