from __future__ import annotations

import pytest
import synth
import torch
import torchaudio
from torch import Tensor

from training.model.frontend import LogMel, mel_filters, windowed_fourier_kernel

OFFSET = 1.19e-7
# Required of float32 arithmetic: on all values, and where there is any sound.
TOLERANCE, TOLERANCE_OF_SOUND, SOUND_POWER = 1e-3, 1e-4, 1e-4

SOUNDS = {
    "tone": synth.tone(1000.0),
    "loud low tone": synth.tone(60.0, amplitude=1.0),
    "quiet high tone": synth.tone(7900.0, amplitude=1e-4),
    "sweep": synth.chirp(20.0, 8000.0),
    "impulse": synth.impulses(1.0),
    "impulses": synth.impulses(37.0),
    "silence": synth.silence(),
    "direct current": synth.silence() + 1,
    "noise": synth.noise(0),
    "quiet noise": synth.noise(1, amplitude=1e-5),
    "less than a window": synth.noise(2, 0.01),
}


def reference(waveform: Tensor) -> Tensor:
    """Mel power by torchaudio in float64 [mels frames]."""
    transform = torchaudio.transforms.MelSpectrogram(
        16_000,
        n_fft=400,
        hop_length=160,
        f_min=50.0,
        f_max=8000.0,
        n_mels=64,
        center=True,
        pad_mode="constant",
        norm="slaney",
        mel_scale="slaney",
        wkwargs={"dtype": torch.float64},
    ).double()
    power: Tensor = transform(waveform.double())
    return power


@pytest.mark.parametrize("name", SOUNDS)
def test_the_log_mel_is_that_of_torchaudio_in_float64(name: str) -> None:
    waveform = torch.from_numpy(SOUNDS[name])
    power = reference(waveform)
    found = LogMel()(waveform[None])[0].double()
    deviation = (found - (power + OFFSET).log()).abs()
    assert deviation.max() <= TOLERANCE
    assert (deviation[power > SOUND_POWER] <= TOLERANCE_OF_SOUND).all()


@pytest.mark.parametrize("name", SOUNDS)
def test_the_folded_transform_equals_the_definition(name: str) -> None:
    waveform = torch.from_numpy(SOUNDS[name]).double()
    frames = torch.nn.functional.pad(waveform, (200, 200)).unfold(0, 400, 160).T
    real, imaginary = (windowed_fourier_kernel()[:, 0] @ frames).chunk(2)
    expected = (mel_filters().double() @ (real.square() + imaginary.square()) + OFFSET).log()
    deviation = (LogMel()(waveform.float()[None]) - expected).abs()
    assert deviation.max() <= TOLERANCE


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 480, 15_200, 15_201])
def test_there_is_a_frame_every_hop_and_one_more(samples: int) -> None:
    assert LogMel()(torch.zeros(2, samples)).shape == (2, 64, 1 + samples // 160)


def test_the_constants_are_not_part_of_the_weights() -> None:
    assert LogMel().state_dict() == {}
