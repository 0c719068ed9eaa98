from __future__ import annotations

from pathlib import Path

import pytest
import synth
from tiny_evaluation import BandEmbedder

from training.data.manifest import SourceClip
from training.errors import DatasetError
from training.evaluation.separation import draw_pairs, evaluate_separation

N = 24


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[SourceClip]:
    """Tones in a band each, two cuts of every recording."""
    folder = tmp_path_factory.mktemp("tones")
    found = []
    for i in range(N):
        for cut in "ab":
            tone = synth.tone(200.0 * i + 100.0, 1.0, amplitude=0.02)
            synth.write(folder / f"{i}{cut}.wav", tone, subtype="FLOAT")
            found.append(SourceClip(folder, f"{i}{cut}.wav", {"recording": str(i)}))
    return found


def test_there_is_one_clip_of_each_recording(clips: list[SourceClip]) -> None:
    pool = draw_pairs(clips, 10, seed=0)
    assert len(pool.clips) == len({clip.recording for clip in pool.clips}) == N
    assert len(set(pool.added.tolist())) == pool.added.size == 10
    assert (pool.added != pool.reference).all()
    assert draw_pairs(clips, 10, seed=0).clips == pool.clips
    assert draw_pairs(clips, 10, seed=1).clips != pool.clips
    assert draw_pairs(clips, 1000, seed=0).added.size == N


def test_too_few_recordings_are_refused(clips: list[SourceClip]) -> None:
    with pytest.raises(DatasetError, match="19 recordings of the data were not used"):
        draw_pairs(clips[:38], 10, seed=0)


def test_an_encoder_that_is_linear_in_power_separates_mixtures(
    clips: list[SourceClip], tmp_path: Path
) -> None:
    """Tones in bands of their own add up: taking all of B away leaves A, at any level."""
    pool = draw_pairs(clips, N, seed=0)
    found = evaluate_separation(BandEmbedder(), pool, tmp_path)
    assert list(found) == ["-10", "-5", "0", "5", "10"]
    for by_weight in found.values():
        assert by_weight["1"]["median_rank"] == 1.0
        assert by_weight["1"]["first"] == 1.0
        assert by_weight["1"]["cosine"] > by_weight["0"]["cosine"]
        assert len(by_weight) == 21
    assert found["10"]["0"]["cosine"] > found["-10"]["0"]["cosine"]
