"""Model cards of bundles: the encoder, its variants, the towers and the detector of changes.

Every figure on a card is in the manifest of the bundle. The parts are written by different
commands; each replaces its own part and keeps the rest of the card.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from service.bundle.manifest import BundleManifest, ChangeInfo, TowersInfo
from training.data.manifest import SourceClip
from training.pretraining.metrics import METRICS, read_metrics
from training.recipe import Recipe, load_recipe
from training.recipe_files import overrides_between, shipped_recipes
from training.reports.render import render

CARD = "MODEL_CARD.md"
LOSS_PLOT = "losses.png"
CHANGE, TOWERS = "## Has anything changed?\n", "## The towers\n"


def write_card(folder: Path, manifest: BundleManifest) -> None:
    """Write the part of a bundle's card on the encoder, and the plot of its losses."""
    draw_losses(folder / LOSS_PLOT, folder / METRICS)
    put_encoder(folder, manifest)


def put_encoder(folder: Path, manifest: BundleManifest) -> None:
    """Replace the part on the encoder: all but the sections on changes and on the towers."""
    kept = [part for part in _sections(folder) if part.startswith((CHANGE, TOWERS))]
    _write(folder, [render_card(manifest), *kept])


def put_change(folder: Path, info: ChangeInfo) -> None:
    """Replace the section on the detector of changes, which comes before the one on the towers."""
    kept = [part for part in _sections(folder) if not part.startswith(CHANGE)]
    towers = [part for part in kept if part.startswith(TOWERS)]
    others = [part for part in kept if not part.startswith(TOWERS)]
    _write(folder, [*others, render("card_change", info=info), *towers])


def put_towers(folder: Path, info: TowersInfo, clips: Sequence[SourceClip]) -> None:
    """Replace the section on the towers, which is the last one."""
    kept = [part for part in _sections(folder) if not part.startswith(TOWERS)]
    _write(folder, [*kept, render_towers(info, clips)])


def render_card(manifest: BundleManifest) -> str:
    """Render the card of a bundle that has an encoder."""
    recipe = Recipe.model_validate(manifest.training.recipe)
    is_shipped = recipe.name in shipped_recipes()
    return render(
        "card_encoder",
        manifest=manifest,
        recipe=recipe,
        recipe_text=json.dumps(manifest.training.recipe, indent=2),
        is_shipped=is_shipped,
        options=_options(recipe, is_shipped=is_shipped, parent=manifest.training.parent),
        loss_plot=LOSS_PLOT,
    )


def render_towers(info: TowersInfo, clips: Sequence[SourceClip]) -> str:
    """Render the section on the towers.

    Args:
        info: Of the manifest.
        clips: The clips that the towers were trained on.
    """
    return render(
        "card_towers",
        info=info,
        recipe_text=json.dumps(info.training.recipe, indent=2),
        n_not_permissive=sum(clip.columns.get("permissive") != "1" for clip in clips),
    )


def draw_losses(path: Path, metrics: Path) -> None:
    """Plot both losses and the spread of the embeddings over the samples seen."""
    lines = read_metrics(metrics)
    samples = [line["samples"] for line in lines]
    figure = Figure(figsize=(7.0, 5.0), layout="constrained")
    losses, spread = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    losses.plot(samples, [line["byol"] for line in lines], label="L_byol (both directions)")
    losses.plot(samples, [line["difference"] for line in lines], label="L_diff (both directions)")
    losses.set_ylabel("loss")
    losses.legend()
    spread.plot(samples, [line["embedding_std"] for line in lines], color="tab:green")
    spread.set_ylabel("spread of directions")
    spread.set_xlabel("samples seen")
    for axes in (losses, spread):
        axes.grid(alpha=0.3)
        axes.set_ylim(bottom=0)
    figure.savefig(path, dpi=110)


def _sections(folder: Path) -> list[str]:
    """Split the card of a bundle before each heading of the second level; none without a card."""
    card = folder / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    return [part for part in re.split(r"(?m)^(?=## )", text) if part.strip()]


def _write(folder: Path, sections: Iterable[str]) -> None:
    text = "\n\n".join(section.strip("\n") for section in sections) + "\n"
    (folder / CARD).write_text(text, encoding="utf-8")


def _options(recipe: Recipe, *, is_shipped: bool, parent: str | None) -> str:
    """Write the options of the command that trains by a recipe."""
    settings = overrides_between(load_recipe(recipe.name), recipe) if is_shipped else []
    options = [
        f"--recipe {recipe.name if is_shipped else f'{recipe.name}.yaml'}",
        *(f"--set {shlex.quote(setting)}" for setting in settings),
        *(["--init BUNDLE_OF_THAT_ENCODER"] if parent else []),
    ]
    return " ".join(options)
