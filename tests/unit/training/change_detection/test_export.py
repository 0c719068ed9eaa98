from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from service.bundle.files import load_bundle
from service.retrieval.change_detector import ChangeDetector
from training.change_detection.collection import Collection
from training.change_detection.export import FILE, ROLE, calibrate
from training.data.attribution import TRAINED, write_attribution


@pytest.fixture
def folder(takes_bundle: Path, tmp_path: Path) -> Path:
    copied = shutil.copytree(takes_bundle, tmp_path / "bundle")
    (copied / "MODEL_CARD.md").write_text("# Model card\n\nText.\n\n## The towers\n\nTheirs.\n")
    return Path(copied)


def test_a_calibrated_bundle_tells_of_changes(folder: Path, collection: Collection) -> None:
    calibrate(folder, collection)

    bundle = load_bundle(folder)
    detector = ChangeDetector.open(bundle)
    assert detector is not None
    assert bundle.manifest.change is not None
    assert bundle.manifest.change.scores["recordings"] == 6
    assert {source.corpus for source in bundle.manifest.change.data} == {"ambience", "esc50"}
    detector.check(bundle)
    trials = collection.trials(1)
    verdicts = [
        detector.decide(collection.embeddings[m], list(collection.embeddings[r])).changed
        for m, r in zip(trials.mixtures, trials.references, strict=True)
    ]
    fired = np.array(verdicts)
    assert fired[trials.is_added].mean() > fired[~trials.is_added].mean()


def test_a_bundle_may_be_calibrated_again(folder: Path, collection: Collection) -> None:
    first = (calibrate(folder, collection) / "MODEL_CARD.md").read_text()
    again = (calibrate(folder, collection) / "MODEL_CARD.md").read_text()

    assert first == again
    assert first.count("## Has anything changed?") == 1
    assert first.index("## Has anything changed?") < first.index("## The towers\n\nTheirs.")
    assert not list(folder.parent.glob("*.partial"))


def test_attribution_names_what_was_heard_and_keeps_what_it_knew(
    folder: Path, collection: Collection
) -> None:
    known = collection.material.store.clips[collection.material.recordings[0]]
    write_attribution(folder / "ATTRIBUTION.csv", {TRAINED: [known]}, None)

    calibrate(folder, collection)

    with (folder / "ATTRIBUTION.csv").open(newline="") as lines:
        roles = {row["path"]: row["role"] for row in csv.DictReader(lines)}
    assert roles.pop(known.name) == TRAINED
    assert set(roles.values()) == {ROLE}
    assert "ambience/rain1.wav" in roles
    assert any(name.startswith("esc50/") for name in roles)
    assert FILE in load_bundle(folder).manifest.files
