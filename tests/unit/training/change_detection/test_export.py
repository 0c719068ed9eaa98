from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from service.bundle.files import load_bundle
from service.retrieval.change_detector import ChangeDetector
from training.change_detection.dataset import DetectionDataset
from training.change_detection.export import FILE, ROLE, calibrate
from training.data.attribution import TRAINED, write_attribution


@pytest.fixture
def folder(bundle_path: Path, tmp_path: Path) -> Path:
    copied = shutil.copytree(bundle_path, tmp_path / "bundle")
    (copied / "MODEL_CARD.md").write_text("# Model card\n\nText.\n\n## The towers\n\nTheirs.\n")
    return Path(copied)


def test_a_calibrated_bundle_detects_changes(folder: Path, dataset: DetectionDataset) -> None:
    calibrate(folder, dataset)

    bundle = load_bundle(folder)
    detector = ChangeDetector.open(bundle)
    assert detector is not None
    assert bundle.manifest.change is not None
    assert bundle.manifest.change.scores["recordings"] == 6
    assert {source.corpus for source in bundle.manifest.change.data} == {"ambience", "esc50"}
    detector.check(bundle)
    trials = dataset.trials(1)
    decisions = [
        detector.decide(dataset.embeddings[m], list(dataset.embeddings[r])).changed
        for m, r in zip(trials.mixtures, trials.references, strict=True)
    ]
    fired = np.array(decisions)
    assert fired[trials.of("added")].mean() > fired[trials.of("nothing")].mean()


def test_a_bundle_may_be_calibrated_again(folder: Path, dataset: DetectionDataset) -> None:
    first = (calibrate(folder, dataset) / "MODEL_CARD.md").read_text()
    again = (calibrate(folder, dataset) / "MODEL_CARD.md").read_text()

    assert first == again
    assert first.count("## Has anything changed?") == 1
    assert first.index("## Has anything changed?") < first.index("## The towers\n\nTheirs.")
    assert not list(folder.parent.glob("*.partial"))


def test_the_attribution_names_the_clips_of_the_excerpts_and_keeps_the_others(
    folder: Path, dataset: DetectionDataset
) -> None:
    known = dataset.clips.store.clips[dataset.clips.recordings[0]]
    write_attribution(folder / "ATTRIBUTION.csv", {TRAINED: [known]}, None)

    calibrate(folder, dataset)

    with (folder / "ATTRIBUTION.csv").open(newline="") as lines:
        roles = {row["path"]: row["role"] for row in csv.DictReader(lines)}
    assert roles.pop(known.name) == TRAINED
    assert set(roles.values()) == {ROLE}
    assert "ambience/rain1.wav" in roles
    assert any(name.startswith("esc50/") for name in roles)
    assert FILE in load_bundle(folder).manifest.files
