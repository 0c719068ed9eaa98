"""The log-mel spectrogram, defined only here (docs/method.md, "Front end").

Training calls it on its device, and the export puts the same module into the graph, so the
service needs no mel filters, window or hop of its own.

``windowed_fourier_kernel`` and ``mel_filters`` are the definition. ``LogMel`` computes the same
with a quarter of the products; tests/unit/training/model/test_frontend.py holds it to the
definition and to torchaudio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torchaudio.functional
from jaxtyping import Float, Float64
from torch import Tensor, nn

SAMPLE_RATE = 16_000  # [Hz]
N_FFT = 400  # [samples], 25 ms, also the length of the Hann window
N_BINS = N_FFT // 2 + 1
HOP_LENGTH = 160  # [samples], 10 ms
N_MELS = 64
F_MIN = 50.0  # [Hz]
F_MAX = 8_000.0  # [Hz]
LOG_OFFSET = 1.19e-7  # added to the mel power before the logarithm

_HALF = N_FFT // 2
_QUARTER = N_FFT // 4
_BIN_HZ = SAMPLE_RATE / N_FFT
# Bins above F_MIN and below F_MAX; the others have weight 0 in every filter.
_USED_BINS = range(int(F_MIN // _BIN_HZ) + 1, math.ceil(F_MAX / _BIN_HZ))


class LogMel(nn.Module):
    """Waveform to ``ln(mel power + 1.19e-7)``.

    Hann window of 25 ms, hop of 10 ms, 64 Slaney mels with area normalisation over 50-8000 Hz
    (paper, section 5.1). Frame ``t`` is centred on sample ``160 t``; beyond the ends of the
    waveform there are zeros.

    The Fourier transform is a product with fixed matrices, since every execution provider has
    matrix products. A frame is folded first: half a frame later, the wave of bin ``k`` has the
    sign ``(-1)^k``. So even bins need only the sum of the two halves of a windowed frame, and odd
    bins only their difference.
    """

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer(
            "window", hann_window().to(torch.get_default_dtype())[:, None], persistent=False
        )
        self.even = _FoldedMelPower([k for k in _USED_BINS if k % 2 == 0])
        self.odd = _FoldedMelPower([k for k in _USED_BINS if k % 2 == 1])

    def forward(
        self, waveform: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch mels frames"]:
        """Compute the log-mel spectrogram.

        Args:
            waveform: Mono sound at 16 kHz, full scale 1.

        Returns:
            Natural logarithm of the mel power; ``frames = 1 + samples // 160``.
        """
        windowed = cut_frames(waveform) * self.window
        early, late = windowed[:, :_HALF], windowed[:, _HALF:]
        power: Tensor = self.even(early + late) + self.odd(early - late)
        return (power + LOG_OFFSET).log()


class _FoldedMelPower(nn.Module):
    """Contribution of some bins to the mel power, from half frames that are folded once more.

    Power does not depend on where phases are counted from; here it is the middle of the half
    frame. About it, cosines are even and sines odd. So cosines need only the sum of opposite
    samples, and sines only their difference.

    Args:
        bins: All even, for sums of half frames, or all odd, for differences.
    """

    cosines: Tensor
    sines: Tensor
    filters: Tensor

    def __init__(self, bins: Sequence[int]) -> None:
        super().__init__()
        from_middle = torch.arange(_QUARTER, dtype=torch.float64) - (_HALF - 1) / 2
        angle = 2.0 * math.pi / N_FFT * torch.outer(torch.tensor(bins).double(), from_middle)
        dtype = torch.get_default_dtype()
        self.register_buffer("cosines", angle.cos().to(dtype), persistent=False)
        self.register_buffer("sines", angle.sin().to(dtype), persistent=False)
        self.register_buffer("filters", mel_filters()[:, bins], persistent=False)

    def forward(
        self, half_frames: Float[Tensor, "batch half frames"]
    ) -> Float[Tensor, "batch mels frames"]:
        front, back = half_frames[:, :_QUARTER], half_frames[:, _QUARTER:].flip(1)
        real, imaginary = self.cosines @ (front + back), self.sines @ (front - back)
        # Products: a square would be exported as a power, which ONNX Runtime is slower at.
        return self.filters @ (real * real + imaginary * imaginary)


def cut_frames(
    waveform: Float[Tensor, "batch samples"],
) -> Float[Tensor, "batch n_fft frames"]:
    """Cut out the frames, one in each column; a frame is two hops and a half of the waveform.

    With frames in columns, the halves of all frames are whole rows, which are cheap to slice and
    to reverse.
    """
    batch, samples = waveform.shape
    n_frames = 1 + samples // HOP_LENGTH
    n_hops = n_frames + N_FFT // HOP_LENGTH
    padded = nn.functional.pad(waveform, (_HALF, N_FFT))[:, : n_hops * HOP_LENGTH]
    hops = padded.reshape(batch, n_hops, HOP_LENGTH).transpose(1, 2)
    whole = [hops[:, :, i : i + n_frames] for i in range(N_FFT // HOP_LENGTH)]
    rest = hops[:, : N_FFT % HOP_LENGTH, n_hops - n_frames :]
    return torch.cat([*whole, rest], dim=1)


def hann_window() -> Float64[Tensor, " n_fft"]:
    """Build the periodic Hann window, in float64."""
    return torch.hann_window(N_FFT, periodic=True, dtype=torch.float64)


def windowed_fourier_kernel() -> Float64[Tensor, "twice_bins 1 n_fft"]:
    """Build the windowed Fourier transform, real parts first, in float64.

    The shape is that of the weights of a convolution; it is part of the fingerprint.
    """
    sample = torch.arange(N_FFT, dtype=torch.float64)
    angle = 2.0 * math.pi / N_FFT * torch.outer(torch.arange(N_BINS, dtype=torch.float64), sample)
    kernel = torch.cat([angle.cos(), -angle.sin()]) * hann_window()
    return kernel.unsqueeze(1)


def mel_filters() -> Float[Tensor, "mels bins"]:
    """Build the Slaney filter bank with area normalisation."""
    filters: Tensor = torchaudio.functional.melscale_fbanks(
        N_BINS, F_MIN, F_MAX, N_MELS, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
    )
    return filters.T.contiguous()
