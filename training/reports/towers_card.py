"""The part of a model card that speaks of the towers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from service.bundle.manifest import TowersInfo
from training.data.manifest import SourceClip
from training.reports.encoder_card import data_table

CARD = "MODEL_CARD.md"
HEADING = "## The towers"

TEXT = """{heading}

Two towers bring sounds and texts into one space of {dim} values (paper, section 5.3): a search can
be made by "like this, but with a dog", by words alone, and a difference can be told in words. Both
encoders below them are frozen. Fingerprint `{fingerprint}`.

Recipe `{recipe}` (sha256 `{recipe_hash}`), code of commit `{commit}`, **{pairs:,} pairs** of
rendered clips that differ by one or two changes. The text encoder's weights are stored as
{precision}. The whole recipe:

```json
{recipe_text}
```

The sounds that the pairs were rendered from, and the clean events:

{data}

{licence} `ATTRIBUTION.csv` names every one of them; those with the role `towers` were heard by the
towers and not by the encoder.
{esc50}
At export, on pairs the towers were not trained on:

| what | value |
|---|---|
{scores}

- They were trained on events over backgrounds, each by its name. Other sounds and other words are
  placed by their likeness to these.
- They follow short requests for one or two changes, in English. They do not read sentences.
"""

PERMISSIVE = "Every one of these clips has a licence that lets a model trained on it be shipped."
NOT_PERMISSIVE = (
    "**{n} of these clips are not under a permissive licence: these towers are for experiments and "
    "must not be shipped.**"
)
ESC50_NOTE = """
ESC-50 *as a compilation* is published under CC BY-NC 3.0; the clips used here are each under the
licence that its own author gave it.
"""


def write_towers_card(folder: Path, info: TowersInfo, clips: Sequence[SourceClip]) -> None:
    """Put the part on the towers at the end of a bundle's card, in the place of an earlier one."""
    card = folder / CARD
    kept = card.read_text(encoding="utf-8") if card.is_file() else ""
    kept = kept.partition(f"\n{HEADING}\n")[0].rstrip("\n")
    card.write_text(f"{kept}\n\n{render_towers(info, clips)}", encoding="utf-8")


def render_towers(info: TowersInfo, clips: Sequence[SourceClip]) -> str:
    """Render the part on the towers; every figure in it stands in the manifest."""
    recipe = info.training.recipe
    closed = sum(clip.columns.get("permissive") != "1" for clip in clips)
    corpora = {source.corpus for source in info.training.data}
    return TEXT.format(
        heading=HEADING,
        dim=info.dim,
        fingerprint=info.fingerprint,
        recipe=recipe["name"],
        recipe_hash=info.training.recipe_sha256,
        commit=info.training.commit,
        pairs=info.training.pairs,
        precision=info.text_precision,
        recipe_text=json.dumps(recipe, indent=2),
        data=data_table(info.training.data),
        licence=NOT_PERMISSIVE.format(n=closed) if closed else PERMISSIVE,
        esc50=ESC50_NOTE if "esc50" in corpora else "",
        scores="\n".join(f"| {name} | {_show(value)} |" for name, value in info.scores.items()),
    )


def _show(value: float | int | str) -> str:
    return f"`{value}`" if isinstance(value, str) else f"{value:.6g}"
