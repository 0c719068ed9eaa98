"""A small set of windows, for the tests of captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import tiny_pairs

from training.towers.captions.concepts import Concepts
from training.towers.captions.data import CaptionData
from training.towers.captions.windows import CaptionSet, Window

CLASSES = ["Dog", "Rain", "Siren", "Silence"]
HEARD = ("Dog", "Rain", "Siren")


class NamedTexts:
    """Embeds a text as a random vector of its own."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = [np.random.default_rng(list(text.encode())).normal(size=24) for text in texts]
        return np.stack(rows).astype(np.float32)


@pytest.fixture(scope="session")
def caption_set() -> CaptionSet:
    """60 windows of 20 recordings; each is near the centre of the class that the teacher hears."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(len(HEARD), tiny_pairs.DIM))
    windows, embeddings, scores = [], [], []
    for row in range(60):
        heard = row % len(HEARD)
        name = f"recording-{row // 3}-{heard}"
        windows.append(
            Window(path=f"{row}.wav", corpus="sfx", label="x", recording=name, start=0, stop=1)
        )
        embeddings.append(centres[heard] + 0.1 * rng.normal(size=tiny_pairs.DIM))
        scores.append([0.9 * (name_of == HEARD[heard]) for name_of in CLASSES])
    return CaptionSet(
        windows=windows,
        embeddings=np.array(embeddings, np.float16),
        scores=np.array(scores, np.float16),
        classes=CLASSES,
    )


@pytest.fixture(scope="session")
def captions(caption_set: CaptionSet) -> CaptionData:
    return CaptionData.of(caption_set, Concepts.of(CLASSES, []), NamedTexts(), ["dog", "rain"])
