"""What towers are measured by on a test side: recall, words, kinds of change, strength."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Int64

from training.scenes.load import SceneSet
from training.scenes.pair import Pair
from training.towers.evaluation.fulfilment import STRENGTHS, share_fulfilled, tabulate
from training.towers.evaluation.ranks import by_kind, measure, rank_of_own, recalls, unit
from training.towers.vectors import TowerVectors
from training.words import describe_changes

Part = Literal["seen", "held_out"]
TEXT_SEED = 2023


@dataclass(frozen=True, slots=True)
class TestSide:
    """A test side, and the texts that its pairs are asked for with.

    Attributes:
        scenes: Its pairs; every target is a candidate.
        beds: Of each pair, int64 [pairs].
        kinds: The pairs of each kind of change; those of two changes stand under both.
        fulfils: Which targets fulfil the changes of each pair, bool [pairs pairs].
        texts: One text a pair, for seen words, held-out phrasings and held-out names.
    """

    __test__ = False  # not a test, whatever pytest thinks of the name

    scenes: SceneSet
    beds: Int64[np.ndarray, " pairs"]
    kinds: dict[str, Int64[np.ndarray, " rows"]]
    fulfils: Bool[np.ndarray, "pairs pairs"]
    texts: dict[str, list[str]]


def prepare(scenes: SceneSet) -> TestSide:
    """Draw the texts of a test side, the same ones every time, and tabulate its changes."""
    pairs = scenes.pairs
    kinds: dict[str, list[int]] = defaultdict(list)
    for row, pair in enumerate(pairs):
        for kind in {change.kind for change in pair.changes}:
            kinds[kind].append(row)
        kinds["one change" if len(pair.changes) == 1 else "two changes"].append(row)
    return TestSide(
        scenes=scenes,
        beds=np.array([pair.bed for pair in pairs]),
        kinds={kind: np.array(rows) for kind, rows in sorted(kinds.items())},
        fulfils=tabulate(pairs),
        texts={
            "seen": ask(pairs),
            "held_out_phrasings": ask(pairs, phrasings="held_out"),
            "held_out_names": ask(pairs, names="held_out"),
        },
    )


def ask(pairs: Sequence[Pair], *, phrasings: Part = "seen", names: Part = "seen") -> list[str]:
    """Ask for the changes of every pair in words drawn with a fixed seed."""
    draw = np.random.default_rng(TEXT_SEED)
    return [
        describe_changes(pair.changes, draw, phrasings=phrasings, names=names) for pair in pairs
    ]


def evaluate_towers(side: TestSide, vectors: TowerVectors) -> dict[str, Any]:
    """Measure towers on a test side.

    Returns:
        ``systems``: recall of audio and text, and of either alone; ``words``: recall with words
        that are held out; ``kinds``: recall by kind of change; ``strength``: share of the first
        hits that fulfil the change, and recall, by the strength of the text.
    """
    audio = vectors.audio(side.scenes.query)
    items = unit(vectors.audio(side.scenes.target))
    told = {name: vectors.text(texts) for name, texts in side.texts.items()}
    both = {name: unit(audio + text) for name, text in told.items()}
    systems = {
        "audio_and_text": measure(both["seen"], items, side.beds),
        "audio_alone": measure(unit(audio), items, side.beds),
        "text_alone": measure(unit(told["seen"]), items, side.beds),
    }
    return {
        "systems": systems,
        "words": {name: recalls(rank_of_own(queries, items)) for name, queries in both.items()},
        "kinds": by_kind(rank_of_own(both["seen"], items), side.kinds),
        "strength": _by_strength(side, audio, told["seen"], items),
    }


def _by_strength(
    side: TestSide,
    audio: Float32[np.ndarray, "pairs dim"],
    text: Float32[np.ndarray, "pairs dim"],
    items: Float32[np.ndarray, "pairs dim"],
) -> dict[str, dict[str, float]]:
    measured = {}
    for strength in STRENGTHS:
        queries = unit(audio + np.float32(strength) * text)
        measured[f"{strength:g}"] = {
            "fulfilled": share_fulfilled(queries, items, side.fulfils)
        } | recalls(rank_of_own(queries, items))
    return measured
