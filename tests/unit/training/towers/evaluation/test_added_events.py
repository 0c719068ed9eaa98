from __future__ import annotations

import numpy as np
import tiny_pairs

from service.bundle.files import Bundle
from training.towers.bank import make_bank
from training.towers.evaluation.added_events import AddedEvents
from training.towers.evaluation.projector import TowerProjector
from training.towers.run import LoadedTowers
from training.towers.text_cache import TextCache

SCENES = tiny_pairs.make(3, 8, 9)


def test_mixtures_are_the_clips_with_the_one_event_that_the_other_clip_lacks() -> None:
    found = AddedEvents.of(SCENES)
    expected = [
        (*((pair.target, pair.query) if kind == "add" else (pair.query, pair.target)), label)
        for pair in SCENES.pairs
        for kind, label in [(pair.changes[0].kind, pair.changes[0].label)]
        if len(pair.changes) == 1 and kind in ("add", "remove")
    ]
    assert found.labels == [label for _, _, label in expected]
    clips = {id(p.query): SCENES.query[i] for i, p in enumerate(SCENES.pairs)}
    clips |= {id(p.target): SCENES.target[i] for i, p in enumerate(SCENES.pairs)}
    for row, (mixture, reference, label) in enumerate(expected):
        assert label in mixture.labels
        assert label not in reference.labels
        np.testing.assert_array_equal(found.mixtures[row], clips[id(mixture)].astype(np.float32))
        np.testing.assert_array_equal(
            found.references[row], clips[id(reference)].astype(np.float32)
        )


def test_pairs_over_the_same_recordings_can_be_left_out() -> None:
    other = tiny_pairs.with_other_recordings(SCENES)
    found = AddedEvents.of(other, only_other=True)
    rain = [p for p in other.pairs if p.backgrounds[0].kind == "rain" and len(p.changes) == 1]
    assert len(found.labels) == sum(p.changes[0].kind in ("add", "remove") for p in rain)
    assert len(found.labels) < len(AddedEvents.of(SCENES).labels)


def test_the_phrases_are_ranked_for_the_differences(
    loaded: LoadedTowers, cache: TextCache, bundle: Bundle
) -> None:
    projector, found = TowerProjector(loaded.networks, cache), AddedEvents.of(SCENES)
    bank = make_bank(loaded.bank, projector.project_texts)
    measured = found.measure(projector, bank, bundle)
    weight = bundle.manifest.difference.reference_weight
    first = 0
    for mixture, reference, label in zip(
        found.mixtures, found.references, found.labels, strict=True
    ):
        rest = mixture - weight * (reference - bundle.mean)
        vector = projector.project_audio(rest[None])[0]
        first += max(bank, key=lambda phrase: float(phrase.vector @ vector)).label == label
    assert measured["mixtures"] == len(found.labels)
    assert measured["first"] == first / len(found.labels)
