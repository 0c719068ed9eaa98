"""The log-mel spectrogram: the only definition of it in the repository.

Training calls it on its device, and the export puts the same module inside the graph, so the
service needs no mel, window or hop of its own.
"""

from __future__ import annotations

import math

import torch
import torchaudio.functional
from jaxtyping import Float
from torch import Tensor, nn

SAMPLE_RATE = 16_000  # [Hz]
N_FFT = 400  # [samples], 25 ms, also the length of the Hann window
N_BINS = N_FFT // 2 + 1
HOP_LENGTH = 160  # [samples], 10 ms
N_MELS = 64
F_MIN = 50.0  # [Hz]
F_MAX = 8_000.0  # [Hz]
LOG_OFFSET = 1.19e-7  # added to the mel power before the logarithm

_MIDDLE = N_FFT // 2
_HALF_HOP = HOP_LENGTH // 2
_BIN_HZ = SAMPLE_RATE / N_FFT
# The bins between the two frequencies: every other has weight 0 in every filter.
_HEARD = slice(int(F_MIN // _BIN_HZ) + 1, math.ceil(F_MAX / _BIN_HZ))


class LogMel(nn.Module):
    """Waveform to ``ln(mel power + 1.19e-7)``.

    Hann window of 25 ms, hop of 10 ms, 64 Slaney mels with area normalisation over 50-8000 Hz
    (paper, section 5.1). Frame ``t`` is centred on sample ``160 t``; beyond the ends of the
    waveform there are zeros.

    The short-time Fourier transform is a product with a fixed windowed Fourier kernel, of
    ordinary operators that every execution provider has. The window is even about its middle,
    so the cosines meet the sum of each two opposite samples and the sines their difference:
    half the multiplications of the kernel as it stands.
    """

    fourier: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fourier", windowed_fourier_kernel(), persistent=False)
        self.register_buffer("filters", mel_filters(), persistent=False)

    def forward(
        self, waveform: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch mels frames"]:
        """Compute the log-mel spectrogram.

        Args:
            waveform: Mono sound at 16 kHz, full scale 1.

        Returns:
            Natural logarithm of the mel power; ``frames = 1 + samples // 160``.
        """
        frames = cut_frames(waveform)
        # The window is 0 at the first sample of a frame, which has no opposite.
        before, after = frames[..., 1:_MIDDLE], frames[..., _MIDDLE + 1 :].flip(2)
        even = torch.cat([before + after, frames[..., _MIDDLE : _MIDDLE + 1]], dim=2)
        cosines = self.fourier[:N_BINS][_HEARD, 0, 1 : _MIDDLE + 1]
        sines = self.fourier[N_BINS:][_HEARD, 0, 1:_MIDDLE]
        power = (even @ cosines.T).square() + ((before - after) @ sines.T).square()
        mel_power = power @ self.filters[:, _HEARD].T
        return (mel_power + LOG_OFFSET).log().transpose(1, 2)


def cut_frames(
    waveform: Float[Tensor, "batch samples"],
) -> Float[Tensor, "batch frames n_fft"]:
    """Cut the frames of 400 samples, each from five blocks of half a hop."""
    batch, samples = waveform.shape
    n_frames = 1 + samples // HOP_LENGTH
    n_blocks = 2 * (n_frames - 1) + N_FFT // _HALF_HOP
    padded = nn.functional.pad(waveform, (_MIDDLE, _MIDDLE))[:, : n_blocks * _HALF_HOP]
    blocks = padded.reshape(batch, n_blocks, _HALF_HOP)
    last = 2 * n_frames - 1
    return torch.cat([blocks[:, i : i + last : 2] for i in range(N_FFT // _HALF_HOP)], dim=2)


def windowed_fourier_kernel() -> Float[Tensor, "twice_bins 1 n_fft"]:
    """Build the Hann-windowed cosines and sines, real parts first, made in float64."""
    sample = torch.arange(N_FFT, dtype=torch.float64)
    angle = 2.0 * math.pi / N_FFT * torch.outer(torch.arange(N_BINS, dtype=torch.float64), sample)
    window = torch.hann_window(N_FFT, periodic=True, dtype=torch.float64)
    kernel = torch.cat([angle.cos(), -angle.sin()]) * window
    return kernel.unsqueeze(1).float()


def mel_filters() -> Float[Tensor, "mels bins"]:
    """Build the Slaney filter bank with area normalisation."""
    filters: Tensor = torchaudio.functional.melscale_fbanks(
        N_BINS, F_MIN, F_MAX, N_MELS, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
    )
    return filters.T.contiguous()
