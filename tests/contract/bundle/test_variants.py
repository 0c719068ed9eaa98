from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synth
import tiny_bundle
import torch

from service.bundle.files import Bundle, load_bundle
from service.inference.encoder import Encoder
from training.data.clips import TrainingData
from training.data.store import ClipStore
from training.export import gate
from training.export.variants import add_variants, calibration_clips, measure_speed
from training.recipe import Recipe


@pytest.fixture(scope="module")
def stores(checkpoint: Path) -> tuple[ClipStore, ClipStore]:
    """The clips that the exported encoder was trained on, and those held out."""
    content = torch.load(checkpoint, weights_only=True)
    data = TrainingData(Path(content["origin"]["data"]), Path(content["origin"]["cache"]))
    return data.open(Recipe.model_validate(content["recipe"]))


@pytest.fixture
def copy(exported: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported.path, tmp_path / "copy"))


def test_a_variant_that_passes_is_in_the_bundle(
    copy: Path, stores: tuple[ClipStore, ClipStore]
) -> None:
    before = load_bundle(copy)
    (outcome,) = add_variants(copy, *stores, 0, kinds=["int8"])
    assert outcome.faults == []
    assert "int8: shipped" in outcome.line()
    after = load_bundle(copy)
    (variant,) = after.manifest.encoder.variants
    assert variant == outcome.variant
    assert after.manifest.encoder.fingerprint == before.manifest.encoder.fingerprint
    assert after.encoder_file.read_bytes() == before.encoder_file.read_bytes()
    assert after.file(variant.file).stat().st_size < after.encoder_file.stat().st_size / 3
    chosen = replace(after, variant=variant)
    encoder = Encoder.open(chosen, device="cpu")
    encoder.check(chosen)
    long = synth.chirp(100, 7000, 31.0) + synth.noise(0, 31.0)
    found, expected = (e.embed([long])[0] for e in (encoder, Encoder.open(after, device="cpu")))
    assert 0 < np.abs(found - expected).max() < 0.1 * expected.max()


def test_a_variant_that_fails_is_removed_with_any_older_one(
    copy: Path, stores: tuple[ClipStore, ClipStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_bundle.add_variant(copy, "int8", cpu_speed=2.0)
    monkeypatch.setattr(gate, "MEDIAN_COSINE", 1.01)
    (outcome,) = add_variants(copy, *stores, 0, kinds=["int8"])
    assert "int8: not shipped: difference_cosine_median" in outcome.line()
    after = load_bundle(copy)
    assert after.manifest.encoder.variants == ()
    assert not list(copy.glob("*int8*"))
    assert not [name for name in after.manifest.files if "int8" in name]


def test_with_fewer_than_10_held_out_clips_no_variant_is_made(
    copy: Path, stores: tuple[ClipStore, ClipStore]
) -> None:
    trained, held_out = stores
    few = held_out.select(i < 9 for i in range(len(held_out.clips)))
    assert add_variants(copy, trained, few, 0) == []
    assert load_bundle(copy).manifest.encoder.variants == ()


def test_calibration_has_silence_mixtures_and_other_levels(
    stores: tuple[ClipStore, ClipStore],
) -> None:
    trained, _ = stores
    n = len(trained.clips)
    clips = list(calibration_clips(trained, seed=0))
    assert not clips[0].any()
    assert len(clips) == 1 + n + n // 2
    levels = {round(float(np.abs(clip).max()), 3) for clip in clips}
    plain = {round(float(np.abs(trained.clip(i)).max()), 3) for i in range(n)}
    assert levels - plain
    assert all(clip.dtype == np.float32 for clip in clips)


def test_an_encoder_is_as_fast_as_itself(encoder: Encoder) -> None:
    assert 0.2 < measure_speed(encoder, encoder) < 5.0
