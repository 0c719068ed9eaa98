from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synth

from service.audio.decoding import decode
from service.cli.demo.mixture import SAMPLE_RATE, write_mixture


def make(folder: Path, *, amplitude: float, added_s: float = 0.5) -> Path:
    background = synth.tone(500, 1.0, amplitude=amplitude, sample_rate=SAMPLE_RATE)
    added = synth.tone(500, added_s, amplitude=amplitude, sample_rate=SAMPLE_RATE)
    files = [
        synth.write(folder / name, samples, sample_rate=SAMPLE_RATE, subtype="FLOAT")
        for name, samples in (("background.wav", background), ("added.wav", added))
    ]
    write_mixture(folder / "mixture.wav", background=files[0], added=files[1])
    return folder / "mixture.wav"


def test_a_mixture_is_the_sum_as_long_as_the_background(tmp_path: Path) -> None:
    mixture = decode(make(tmp_path, amplitude=0.3), sample_rate=SAMPLE_RATE)

    assert mixture.duration_s == 1.0
    half = SAMPLE_RATE // 2
    assert np.abs(mixture.samples[:half]).max() == pytest.approx(0.6, abs=1e-3)
    assert np.abs(mixture.samples[half:]).max() == pytest.approx(0.3, abs=1e-3)


def test_a_longer_sound_is_cut(tmp_path: Path) -> None:
    path = make(tmp_path, amplitude=0.3, added_s=2.0)

    assert decode(path, sample_rate=SAMPLE_RATE).duration_s == 1.0


def test_a_mixture_beyond_full_scale_is_scaled_down_not_clipped(tmp_path: Path) -> None:
    mixture = decode(make(tmp_path, amplitude=0.8), sample_rate=SAMPLE_RATE).samples

    half = SAMPLE_RATE // 2
    assert np.abs(mixture).max() <= 1
    assert np.abs(mixture[half:]).max() == pytest.approx(0.5, abs=1e-3)
