"""The model card of a bundle, and the picture of its losses."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from service.bundle.manifest import BundleManifest, DataSource, EncoderVariant
from training.pretraining.metrics import METRICS, read_metrics
from training.recipe import Recipe, load_recipe
from training.recipe_files import overrides_between, shipped_recipes

LOSS_PICTURE = "losses.png"

TEXT = """# Model card: {id}

An audio encoder trained so that the embedding of a mixture minus the embedding of a reference is
the sound that was added (Takeuchi et al., "Towards learning a difference-aware general-purpose
audio representation"). It takes mono sound of any length at {rate} Hz and gives {dim} values; the
front end is inside the graph. Fingerprint `{fingerprint}`.

## How it was trained

Recipe `{recipe}` (sha256 `{recipe_hash}`), code of commit `{commit}`{parent}.
It has seen **{samples:,} samples** of 0.95 s{precision}. The whole recipe:

```json
{recipe_text}
```

To train one like it and export it{saved}:

```
minuend-train pretrain {options} --data FOLDER_OR_MANIFEST --out runs/{recipe}
minuend-train export runs/{recipe}/checkpoint.pt --out models/{recipe}
```

![The losses over the steps of training]({picture})

## Data and licences

{data}

`ATTRIBUTION.csv` names every clip with its author and licence, those held out included.
{esc50}
## Scores

{scores}
The exported graph deviates from the torch model by at most {parity:.1e} of the largest value.
{variants}
{limits}

- It is a small encoder trained for a short time on little data: expect it to tell kinds of sound
  apart, not voices, words, melodies or makes of car.
- It hears up to 8 kHz, in mono. Direction and anything above are gone.
- Levels matter. A change of level or a shift in time alone moves the embedding, so the norm of a
  difference is no proof that anything was added.
- Its norms and cosines are not calibrated for alarms, and nothing of it is fit for decisions about
  people.
- Digital silence has an embedding like any sound; it means "silence", not "nothing".

Weights: {licence}. Measured numbers and identities stand in `bundle.json`, the losses in
`metrics.jsonl`.
"""

SCORES = """\
Measured at export on {held_out_clips} clips whose recordings were kept out of training:
{held_out_pairs} mixtures of two of them at equal power, searched for among all the held-out clips
but the reference. "First" is the share of mixtures whose nearest clip is the one that was added.

| what is taken away | first | mean reciprocal rank |
|---|---|---|
| nothing: the mixture itself | {first_0:.3f} | {rank_0:.3f} |
| {weight:g} of the reference (`reference_weight`) | {first_w:.3f} | {rank_w:.3f} |
| the whole reference | {first_1:.3f} | {rank_1:.3f} |
"""

LIMITS = "## What it is not good for"
VARIANTS_TITLE = "\n## Variants\n"
VARIANTS = """
The same encoder in cheaper arithmetic, which shares its fingerprint. Differences of {pairs:.0f}
held-out mixtures and references are compared with those of float32: the median cosine must be at
least 0.995 and the first percentile at least 0.95. "First ten" is the share of mixtures that find
the clip that was added among the first ten.

| | clips per CPU second | median cosine | first percentile | first ten |
|---|---|---|---|---|
| float32 | 1 | | | {float32:.3f} |
{rows}
"""

NO_SCORES = """\
Nothing was held out of training, so nothing was measured at export, and the weight of the
reference is the default of {weight:g}.
"""

ESC50_NOTE = """
ESC-50 *as a compilation* is published under CC BY-NC 3.0. The clips used here are each CC0 or
CC BY by their own authors, which is what this bundle relies on. Whoever wants to stay clear of the
question trains without them: add `--set data.exclude.corpus=esc50` to the command above.
"""


def write_card(folder: Path, manifest: BundleManifest) -> None:
    """Write ``MODEL_CARD.md`` and the picture of the losses into a bundle's folder."""
    write_loss_picture(folder / LOSS_PICTURE, folder / METRICS)
    (folder / "MODEL_CARD.md").write_text(render_card(manifest), encoding="utf-8")


def put_variants(folder: Path, variants: Sequence[EncoderVariant]) -> None:
    """Write the part on the variants into a bundle's card, in the place of an earlier one."""
    card = folder / "MODEL_CARD.md"
    before, limits, after = card.read_text(encoding="utf-8").partition(f"\n{LIMITS}\n")
    before = before.partition(VARIANTS_TITLE)[0].rstrip("\n") + "\n"
    card.write_text(before + _variants(variants) + limits + after, encoding="utf-8")


def render_card(manifest: BundleManifest) -> str:
    """Render the card from the manifest: every figure in it stands there."""
    training, scores = manifest.training, manifest.scores
    corpora = {source.corpus for source in training.data}
    recipe = Recipe.model_validate(training.recipe)
    shipped = recipe.name in shipped_recipes()
    options = _options(recipe, shipped=shipped, parent=training.parent)
    return TEXT.format(
        id=manifest.id,
        rate=manifest.encoder.sample_rate_hz,
        dim=manifest.encoder.dim,
        fingerprint=manifest.encoder.fingerprint,
        recipe=recipe.name,
        recipe_hash=training.recipe_sha256,
        recipe_text=json.dumps(training.recipe, indent=2),
        saved="" if shipped else f", with the recipe above saved as `{recipe.name}.yaml`",
        options=" ".join(options),
        commit=training.commit,
        parent=f", going on from the encoder `{training.parent}`" if training.parent else "",
        samples=training.samples_seen,
        precision=f", multiplied in {training.precision}" if training.precision else "",
        picture=LOSS_PICTURE,
        data=data_table(training.data),
        esc50=ESC50_NOTE if "esc50" in corpora else "",
        scores=_scores(manifest),
        parity=scores["parity_with_torch"],
        variants=_variants(manifest.encoder.variants),
        limits=LIMITS,
        licence=manifest.licence,
    )


def write_loss_picture(path: Path, metrics: Path) -> None:
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


def _scores(manifest: BundleManifest) -> str:
    scores, weight = manifest.scores, manifest.difference.reference_weight
    if not scores["held_out_pairs"]:
        return NO_SCORES.format(weight=weight)
    return SCORES.format(**scores, weight=weight)


def _variants(variants: Sequence[EncoderVariant]) -> str:
    if not variants:
        return ""
    rows = [
        f"| {variant.precision} | {variant.cpu_speed:g} times as many"
        f" | {variant.figures['difference_cosine_median']:.4f}"
        f" | {variant.figures['difference_cosine_p1']:.4f}"
        f" | {variant.figures['recall_at_10']:.3f} |"
        for variant in variants
    ]
    figures = variants[0].figures
    return VARIANTS_TITLE + VARIANTS.format(
        pairs=figures["pairs"], float32=figures["recall_at_10_float32"], rows="\n".join(rows)
    )


def _options(recipe: Recipe, *, shipped: bool, parent: str | None) -> list[str]:
    """Write the options of the command that trains by a recipe."""
    settings = overrides_between(load_recipe(recipe.name), recipe) if shipped else []
    return [
        f"--recipe {recipe.name if shipped else f'{recipe.name}.yaml'}",
        *(f"--set {shlex.quote(setting)}" for setting in settings),
        *(["--init BUNDLE_OF_THAT_ENCODER"] if parent else []),
    ]


def data_table(data: Sequence[DataSource]) -> str:
    """Tabulate what each corpus gave."""
    rows = ["| corpus | clips | minutes | licences (clips) |", "|---|---|---|---|"]
    for source in data:
        licences = ", ".join(f"{name} ({n})" for name, n in sorted(source.licences.items()))
        rows.append(
            f"| {source.corpus} | {source.clips} | {source.seconds / 60:.0f} | {licences} |"
        )
    return "\n".join(rows)
