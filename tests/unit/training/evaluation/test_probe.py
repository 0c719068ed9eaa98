from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.evaluation.probe import Probe, ProbeSettings, evaluate_probe, run_probe
from training.evaluation.row_splits import RowSplits, stratified_splits

SETTINGS = ProbeSettings(learning_rate=0.01, epochs=60)


def blobs(n: int, *, offset: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Four classes apart from each other in some of 12 dimensions of very different scales."""
    random = np.random.default_rng(0)
    labels = np.arange(n) % 4
    centres = 3.0 * random.standard_normal((4, 12))
    features = centres[labels] + random.standard_normal((n, 12))
    spread = scale ** random.uniform(-1, 1, 12)
    return (offset + features * spread).astype(np.float32), labels


@pytest.mark.parametrize("monitor", ["loss", "accuracy"])
def test_a_linear_problem_is_solved_at_any_scale_of_the_features(monitor: str) -> None:
    features, labels = blobs(400, offset=50.0, scale=100.0)
    rows = stratified_splits(np.arange(300), np.arange(300, 400), labels, seed=0)
    settings = replace(SETTINGS, monitor=monitor)
    assert run_probe(features, labels, rows, settings, seed=0) >= 0.97


def test_random_labels_are_not_learnt() -> None:
    random = np.random.default_rng(0)
    features = random.standard_normal((400, 12)).astype(np.float32)
    labels = random.integers(0, 4, 400)
    rows = stratified_splits(np.arange(200), np.arange(200, 400), labels, seed=0)
    assert run_probe(features, labels, rows, SETTINGS, seed=0) < 0.4


def test_a_constant_feature_does_no_harm() -> None:
    features, labels = blobs(400, offset=0.0, scale=1.0)
    features[:, 3] = 7.0
    rows = stratified_splits(np.arange(300), np.arange(300, 400), labels, seed=0)
    assert run_probe(features, labels, rows, SETTINGS, seed=0) >= 0.9


def test_a_run_depends_on_its_seed_only() -> None:
    features, labels = blobs(120, offset=0.0, scale=1.0)
    features += 4 * np.random.default_rng(1).standard_normal(features.shape).astype(np.float32)
    rows = stratified_splits(np.arange(80), np.arange(80, 120), labels, seed=0)
    settings = ProbeSettings(epochs=3)
    runs = [run_probe(features, labels, rows, settings, seed) for seed in (0, 0, 1, 2, 3)]
    assert runs[0] == runs[1]
    assert len(set(runs)) > 1


def test_the_weights_of_the_best_epoch_are_tested() -> None:
    """With a rate that ruins the weights later on, the first good epoch is what counts."""
    features, labels = blobs(400, offset=0.0, scale=1.0)
    rows = stratified_splits(np.arange(300), np.arange(300, 400), labels, seed=0)
    wrong = labels.copy()
    wrong[rows.train] = (labels[rows.train] + 1) % 4
    no_patience = ProbeSettings(learning_rate=0.01, epochs=40, patience=1)
    untrained = run_probe(features, wrong, rows, replace(no_patience, epochs=0), seed=0)
    stopped = run_probe(features, wrong, rows, no_patience, seed=0)
    assert stopped == pytest.approx(untrained, abs=0.1)


def test_loss_and_accuracy_equal_those_of_a_plain_softmax() -> None:
    features, labels = blobs(50, offset=0.0, scale=1.0)
    probe = Probe(torch.zeros(12), torch.ones(12), 4)
    loss, accuracy = evaluate_probe(probe, features, labels, np.arange(50))
    weights = probe.linear.weight.detach().double().numpy()
    logits = features.astype(np.float64) @ weights.T + probe.linear.bias.detach().numpy()
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert loss == pytest.approx(-np.log(shares[np.arange(50), labels]).mean(), rel=1e-5)
    assert accuracy == (logits.argmax(axis=1) == labels).mean()


def test_only_training_rows_standardise_and_train() -> None:
    features, labels = blobs(200, offset=0.0, scale=1.0)
    rows = RowSplits(np.arange(100), np.arange(100, 150), np.arange(150, 200))
    unused = np.concatenate([features, np.full((5, 12), np.nan, np.float32)])
    more = np.concatenate([labels, np.zeros(5, labels.dtype)])
    assert run_probe(unused, more, rows, SETTINGS, 0) == run_probe(
        features, labels, rows, SETTINGS, 0
    )
