from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import synth

from service.inference.encoder import Encoder
from training.scorers import bgknown_scorer

SWEEPS_HZ = {"low": (100.0, 3500.0), "high": (4500.0, 7900.0)}
ROWS_EACH = 20


class Spectra:
    """Embeds a sound as the power in a few bands, which is nearly additive."""

    fingerprint = "0" * 64

    def __init__(self, bands: int) -> None:
        self._bands = bands

    def embed(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        power = np.stack([np.abs(np.fft.rfft(clip)) ** 2 for clip in clips])
        split = np.array_split(power, self._bands, axis=1)
        return np.stack([band.sum(axis=1) for band in split], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Low and high sweeps in noise; the noise alone is the reference."""
    folder = tmp_path_factory.mktemp("bgknown")
    rows = []
    for i in range(2 * ROWS_EACH):
        label = list(SWEEPS_HZ)[i % 2]
        noise = synth.noise(i, 0.1, amplitude=0.05)
        synth.write(folder / "a" / f"{i}.wav", noise)
        synth.write(folder / "mixture" / f"{i}.wav", noise + synth.chirp(*SWEEPS_HZ[label], 0.1))
        rows.append({"name": str(i), "label": label, "side": "train" if i < 24 else "test"})
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as lines:
        table = csv.DictWriter(lines, ["name", "label", "side"])
        table.writeheader()
        table.writerows(rows)
    (folder / "dataset.json").write_text(json.dumps({"manifest_sha256": "0" * 64}))
    return folder


def test_events_are_classified_by_the_difference_if_the_encoder_tells_them_apart(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.scorers.SEEDS", (42,))
    score = bgknown_scorer(folder)
    assert score(cast(Encoder, Spectra(16)))["bgknown_a"] > 0.9
    assert score(cast(Encoder, Spectra(1)))["bgknown_a"] < 0.9
