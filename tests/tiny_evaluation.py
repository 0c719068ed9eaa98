"""A bundle with a list of its training clips, and a small encoder, for tests of evaluations."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.bundle.manifest import BundleManifest
from training.data.attribution import TRAINED, write_attribution
from training.data.manifest import SourceClip


def copy_bundle(bundle: Path, folder: Path, trained: Iterable[SourceClip]) -> Path:
    """Copy a bundle and list the clips that it was trained on."""
    shutil.copytree(bundle, folder)
    write_attribution(folder / "ATTRIBUTION.csv", {TRAINED: trained}, None)
    return folder


@dataclass
class BandEmbedder:
    """Mean power in 40 bands: linear in power, so that mixtures of unlike sounds add up."""

    manifest: BundleManifest | None = None
    identity: str = "bands"
    fitted: int = 0
    embedded: int = 0

    def fit(self, clips: Iterable[np.ndarray]) -> None:
        self.fitted = sum(1 for _ in clips)

    def embed(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        self.embedded += len(clips)
        return np.stack([_bands(clip) for clip in clips]).astype(np.float32)

    def describe(self) -> dict[str, Any]:
        return {"id": "bands", "kind": "random", "statistics": "none"}


def _bands(clip: np.ndarray) -> np.ndarray:
    seconds = np.pad(clip.astype(np.float64), (0, -clip.size % 16_000)).reshape(-1, 16_000)
    power = (np.abs(np.fft.rfft(seconds)) ** 2).sum(axis=0)
    bands: np.ndarray = power[:8000].reshape(40, 200).mean(axis=1)
    return bands
