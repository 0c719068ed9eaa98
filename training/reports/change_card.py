"""The part of a model card that speaks of changes."""

from __future__ import annotations

from pathlib import Path

from service.bundle.manifest import ChangeInfo
from training.reports.encoder_card import data_table
from training.reports.towers_card import HEADING as TOWERS

CARD = "MODEL_CARD.md"
HEADING = "## Has anything changed?"

TEXT = """{heading}

The score of `changed` tells two excerpts of one recording from an excerpt with a sound added. It
was fitted to {recordings} recordings (corpora ambience and traffic) and to events of ESC-50, in
excerpts of {excerpt_s:g} s, some at another level, through MP3 or shifted, by code of commit
`{commit}`. Its thresholds are what {share:.0%} of unchanged pairs stay below in cross-validation
over recordings; what they do on recordings and sounds unheard by the score stands in
`docs/results/changed.md`.

{data}

Every one of these clips has a licence that lets a model fitted to it be shipped.

- A recording in which things happen changes by itself: give several references of it.
- It was calibrated on excerpts of equal length; very short or very long sounds are not covered.
"""


def write_change_card(folder: Path, info: ChangeInfo) -> None:
    """Put the part on changes into a bundle's card, before the towers, for an earlier one."""
    card = folder / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    before, towers, after = text.partition(f"\n{TOWERS}\n")
    before = before.partition(f"\n{HEADING}\n")[0].rstrip("\n")
    card.write_text(f"{before}\n\n{render_change(info)}{towers}{after}", encoding="utf-8")


def render_change(info: ChangeInfo) -> str:
    """Render the part on changes; every figure in it stands in the manifest."""
    return TEXT.format(
        heading=HEADING,
        recordings=info.scores["recordings"],
        excerpt_s=info.excerpt_s,
        commit=info.commit,
        share=1.0 - info.false_alarm_rate,
        data=data_table(info.data),
    )
