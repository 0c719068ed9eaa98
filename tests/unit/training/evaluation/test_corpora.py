from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import write_corpora
from tiny_evaluation import BandEmbedder, copy_bundle

from training.data.manifest import read_clips
from training.datasets.corpora import find_corpora
from training.errors import DatasetError
from training.evaluation.corpora import (
    CORPORA,
    bootstrap_interval,
    evaluate_corpus,
    measure_corpora,
)
from training.evaluation.measure import Measurement
from training.recipe import load_recipe
from training.reports.linear_page import write_page
from training.results import read_rows


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpora(tmp_path_factory.mktemp("corpora"))


def test_a_corpus_is_embedded_once_for_both_protocols(manifest: Path, tmp_path: Path) -> None:
    (corpus,) = (c for c in find_corpora(read_clips(manifest))[0] if c.name == "esc50")
    embedder = BandEmbedder()
    figures = {
        tuple(protocol.train_folds or ()): figures
        for protocol, figures in evaluate_corpus(embedder, corpus, tmp_path)
    }
    assert embedder.embedded == len(corpus.clips)
    assert embedder.fitted == 6  # the clips of folds 1 to 3
    assert figures[1, 2, 3]["tested"] == 4
    assert figures[()]["tested"] == 10
    assert len(figures[()]["strengths"]) == 5
    assert figures[1, 2, 3]["accuracy"] == 100.0  # tones of two pitches


def test_one_call_writes_a_row_for_each_encoder_and_protocol_and_the_page(
    manifest: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    trained = [clip for clip in read_clips(manifest) if clip.columns["fold"] == "5"]
    bundle = copy_bundle(tiny_bundle_path, tmp_path / "bundle", trained)
    base = Measurement("log-mel", "bundle", tmp_path / "results", tmp_path / "cache")
    measurements = [base, replace(base, encoder=str(bundle))]
    rows = list(measure_corpora(manifest, measurements, ["esc50"]))
    list(measure_corpora(manifest, measurements, ["esc50"]))
    written = read_rows(tmp_path / "results" / CORPORA)
    assert len(rows) == len(written) == 4
    (heard,) = (
        row["test_clips_heard"]
        for row in written
        if row["train_folds"] and row["encoder"]["kind"] == "bundle"
    )
    assert heard == {"heard": 2, "tested": 4}
    assert "ambience" in written[0]["corpora_left_out"]
    for row in written:
        if row["encoder"]["kind"] == "bundle":
            row["encoder"]["recipe"] = load_recipe("table").to_dict()
    (tmp_path / "results" / CORPORA).write_text(json.dumps({"rows": written}))
    page = write_page(tmp_path / "results").read_text()
    assert "esc50, trained on folds 1, 2, 3" in page
    assert "2 of 4 clips heard" in page
    assert "| log-mel, mean and standard deviation | 100.0" in page
    table = [line for line in page.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in table[:3]}) == 1


def test_a_corpus_that_cannot_be_evaluated_is_named_with_the_reason(
    manifest: Path, tmp_path: Path
) -> None:
    base = Measurement("log-mel", "bundle", tmp_path, tmp_path)
    with pytest.raises(DatasetError, match=r"'ambience'.*classes have at least 5 recordings"):
        list(measure_corpora(manifest, [base], ["ambience"]))
    with pytest.raises(DatasetError, match="no such corpus"):
        list(measure_corpora(manifest, [base], ["nothing"]))


def test_the_interval_is_wider_when_clips_share_recordings() -> None:
    is_right = np.tile([True, False], 200).repeat(1)
    alone = bootstrap_interval(is_right, np.arange(400))
    shared = bootstrap_interval(np.repeat([True, False] * 10, 20), np.repeat(np.arange(20), 20))
    assert alone[0] < 50.0 < alone[1]
    assert shared[1] - shared[0] > 2 * (alone[1] - alone[0])
    assert bootstrap_interval(np.ones(9, bool), np.arange(9)) == [100.0, 100.0]
