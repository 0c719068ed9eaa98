"""Measurements of towers on a test side: recall, words, kinds of change, strength of the text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.difference import l2_normalize
from training.scenes.load import SceneSet
from training.scenes.pair import Pair
from training.towers.evaluation.fulfilment import (
    STRENGTHS,
    share_fulfilled,
    tabulate_fulfilment,
)
from training.towers.evaluation.projector import TowerProjector
from training.towers.evaluation.ranks import (
    measure_recall,
    rank_targets,
    recalls,
    recalls_by_kind,
)
from training.words.grammar import describe_changes
from training.words.names import Part

TEXT_SEED = 2023


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """A test side, and the texts of its pairs.

    Attributes:
        scenes: The pairs; every target is a candidate.
        background_ids: Number of the backgrounds of each pair, int64 [pairs].
        kinds: Rows of the pairs of each kind of change; pairs of two changes count for both.
        fulfils: Which targets fulfil the changes of each pair, bool [pairs pairs].
        texts: One text per pair, for seen words, held-out phrasings and held-out names.
    """

    scenes: SceneSet
    background_ids: Int64[np.ndarray, " pairs"]
    kinds: dict[str, Int64[np.ndarray, " rows"]]
    fulfils: Bool[np.ndarray, "pairs pairs"]
    texts: dict[str, list[str]]


def prepare_evaluation(scenes: SceneSet) -> EvaluationSet:
    """Draw the texts of a test side, the same ones every time, and tabulate its changes."""
    pairs = scenes.pairs
    kinds: dict[str, list[int]] = defaultdict(list)
    for row, pair in enumerate(pairs):
        for kind in {change.kind for change in pair.changes}:
            kinds[kind].append(row)
        kinds["one change" if len(pair.changes) == 1 else "two changes"].append(row)
    return EvaluationSet(
        scenes=scenes,
        background_ids=np.array([pair.background_id for pair in pairs]),
        kinds={kind: np.array(rows) for kind, rows in sorted(kinds.items())},
        fulfils=tabulate_fulfilment(pairs),
        texts={
            "seen": draw_requests(pairs),
            "held_out_phrasings": draw_requests(pairs, phrasings="held_out"),
            "held_out_names": draw_requests(pairs, names="held_out"),
        },
    )


def draw_requests(
    pairs: Sequence[Pair], *, phrasings: Part = "seen", names: Part = "seen"
) -> list[str]:
    """Draw a request for the changes of every pair with a fixed seed."""
    rng = np.random.default_rng(TEXT_SEED)
    return [describe_changes(pair.changes, rng, phrasings=phrasings, names=names) for pair in pairs]


def evaluate_towers(test: EvaluationSet, projector: TowerProjector) -> dict[str, Any]:
    """Measure towers on a test side.

    Returns:
        ``systems``: recall of audio and text, and of each alone; ``words``: recall with held-out
        words; ``kinds``: recall by kind of change; ``strength``: share of the first hits that
        fulfil the change, and recall, by the strength of the text.
    """
    audio = projector.project_audio(test.scenes.query)
    items = l2_normalize(projector.project_audio(test.scenes.target))
    texts = {name: projector.project_texts(texts) for name, texts in test.texts.items()}
    queries = {name: l2_normalize(audio + text) for name, text in texts.items()}
    systems = {
        "audio_and_text": queries["seen"],
        "audio_alone": l2_normalize(audio),
        "text_alone": l2_normalize(texts["seen"]),
    }
    return {
        "systems": {
            name: measure_recall(system, items, test.background_ids)
            for name, system in systems.items()
        },
        "words": {name: recalls(rank_targets(query, items)) for name, query in queries.items()},
        "kinds": recalls_by_kind(rank_targets(queries["seen"], items), test.kinds),
        "strength": _by_strength(test, audio, texts["seen"], items),
    }


def _by_strength(
    test: EvaluationSet,
    audio: Float32[np.ndarray, "pairs dim"],
    text: Float32[np.ndarray, "pairs dim"],
    items: Float32[np.ndarray, "pairs dim"],
) -> dict[str, dict[str, float]]:
    measured = {}
    for strength in STRENGTHS:
        queries = l2_normalize(audio + np.float32(strength) * text)
        share = share_fulfilled(queries, items, test.fulfils)
        measured[f"{strength:g}"] = {"fulfilled": share} | recalls(rank_targets(queries, items))
    return measured
