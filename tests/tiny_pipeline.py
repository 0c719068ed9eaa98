"""Stand-ins for pre-training and export, for tests of sweeps and trials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny_datasets import write_corpora
from tiny_evaluation import copy_bundle

from service.bundle.files import load_bundle, write_manifest
from training import sweep
from training.data.clips import TrainingData, find_clips
from training.export.variants import Kind
from training.recipe import Recipe


class Pipeline:
    """Fake pre-training and export: copies a tiny bundle and writes the recipe into it.

    Attributes:
        trained: Run, lambda, seed and ``resume`` of every pre-training.
        started_from: Bundle that each started from.
        kinds: Variants that each export was asked for.
    """

    def __init__(self, bundle: Path, manifest: Path) -> None:
        self.bundle, self.manifest = bundle, manifest
        self.trained: list[tuple[str, float, int, bool]] = []
        self.started_from: list[Path | None] = []
        self.kinds: list[Sequence[Kind]] = []
        self.recipe: Recipe | None = None

    def pretrain(
        self, recipe: Recipe, data: TrainingData, out: Path, *, init: Path | None, resume: bool
    ) -> Path:
        """Note the run; nothing is trained."""
        self.trained.append((out.name, recipe.loss.lambda_, recipe.seed, resume))
        self.started_from.append(init)
        self.recipe = recipe
        return out / "checkpoint.pt"

    def export(self, checkpoint: Path, out: Path, *, kinds: Sequence[Kind]) -> Path:
        """Copy the tiny bundle, with the recipe and the clips of the run."""
        assert self.recipe is not None
        self.kinds.append(kinds)
        recipe = self.recipe
        copy_bundle(self.bundle, out, find_clips(self.manifest, recipe.data, recipe.seed))
        found = load_bundle(out).manifest
        training = found.training.model_copy(
            update={"recipe": recipe.to_dict(), "recipe_sha256": recipe.sha256()}
        )
        encoder = found.encoder.model_copy(update={"fingerprint": recipe.sha256()})
        changed = {"training": training, "encoder": encoder, "id": out.name}
        write_manifest(out, found.model_copy(update=changed))
        return out


def install(bundle: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Replace pre-training and export of sweeps; write small corpora into a folder."""
    made = Pipeline(bundle, write_corpora(folder))
    monkeypatch.setattr(sweep, "pretrain", made.pretrain)
    monkeypatch.setattr(sweep, "export", made.export)
    return made
