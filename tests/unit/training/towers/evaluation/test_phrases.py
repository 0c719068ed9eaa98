from __future__ import annotations

import numpy as np

from training.towers.bank import Phrase
from training.towers.evaluation.phrases import probe_events, rank_labels

BANK = [
    Phrase("a dog", "dog", "event", np.array([1.0, 0.0], np.float32)),
    Phrase("rain", "rain", "background", np.array([0.0, 1.0], np.float32)),
    Phrase("a cat", "cat", "event", np.array([0.8, 0.6], np.float32)),
]


def test_the_phrase_of_a_label_is_ranked_among_all() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.9, 0.5]], np.float32)
    assert rank_labels(vectors, BANK, ["dog", "rain", "cat", "cat"]).tolist() == [1, 3, 2, 1]


def test_a_linear_probe_separates_distant_classes() -> None:
    rng = np.random.default_rng(0)
    centres = 3 * rng.normal(size=(8, 16))
    labels = [f"class {i}" for i in np.repeat(np.arange(8), 20)]
    train, test = (
        (np.repeat(centres, 20, axis=0) + rng.normal(size=(160, 16))).astype(np.float32)
        for _ in range(2)
    )
    found = probe_events(train, labels, test, labels)
    assert found["first"] > 0.95
    assert found["among_five"] >= found["first"]


def test_a_probe_on_noise_is_at_chance() -> None:
    rng = np.random.default_rng(0)
    train, test = (rng.normal(size=(400, 8)).astype(np.float32) for _ in range(2))
    labels = [str(i % 20) for i in range(400)]
    found = probe_events(train, labels, test, labels)
    assert found["first"] < 0.15
    assert 0.1 < found["among_five"] < 0.4
