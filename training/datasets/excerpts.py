"""Excerpts of a background, and the mixture of an event with one of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from training.data.loudness import amplitude, fade, loudness

EXCERPT_S = 5.0
REFERENCE_LUFS = -30.0  # what the mixed excerpt is brought to (B1)
LARGEST_PEAK = 0.999


@dataclass(frozen=True, slots=True)
class Excerpts:
    """First samples of the three excerpts of a background (paper, section 5.2).

    Attributes:
        a: The one that is mixed.
        b: Overlaps it by half.
        c: Does not overlap it.
    """

    a: int
    b: int
    c: int


@dataclass(frozen=True, slots=True)
class Mixed:
    """A mixture with its references, and how it came about.

    Attributes:
        mixture: Event and excerpt (a).
        references: The excerpts (a), (b) and (c), all at the gain of (a), so that (a) is exactly
            what is in the mixture (B2).
        levels: Loudness [LUFS] of event and excerpt before, gains [dB], and the factor that kept
            all of them within full scale.
    """

    mixture: np.ndarray
    references: dict[str, np.ndarray]
    levels: dict[str, float]


def draw_excerpts(length: int, excerpt: int, random: np.random.Generator) -> Excerpts:
    """Draw where the excerpts start (B3, B4).

    (a) starts in the first ``length - 2 excerpt`` samples and (c) anywhere after it, or both
    mirrored in time; (b) half an excerpt before or after (a), where it fits.

    Args:
        length: Samples of the background, at least two excerpts.
        excerpt: Samples of an excerpt.
        random: Makes the draws.

    Raises:
        ValueError: The background is too short.
    """
    free = length - 2 * excerpt
    if free < 0:
        raise ValueError(f"a background of {length} samples has no two excerpts of {excerpt}")
    a = int(random.integers(free + 1))
    c = a + excerpt + int(random.integers(free - a + 1))
    if random.random() < 0.5:
        a, c = length - excerpt - a, length - excerpt - c
    half = excerpt // 2
    fitting = [start for start in (a - half, a + half) if 0 <= start <= length - excerpt]
    return Excerpts(a, fitting[int(random.integers(len(fitting)))], c)


def mix(
    event: Float32[np.ndarray, " excerpt"],
    background: Float32[np.ndarray, " samples"],
    excerpts: Excerpts,
    snr_lu: float,
    sample_rate: int,
) -> Mixed:
    """Mix an event into excerpt (a) of a background with Scaper's gains (facts, section 6.2).

    Args:
        event: Of the length of an excerpt.
        background: The whole recording.
        excerpts: Where its excerpts start.
        snr_lu: Loudness of the event over that of the excerpt [LU].
        sample_rate: Of all samples [Hz].
    """
    excerpt = event.size
    parts = {
        name: background[start : start + excerpt]
        for name, start in (("a", excerpts.a), ("b", excerpts.b), ("c", excerpts.c))
    }
    event_lufs, background_lufs = loudness(event, sample_rate), loudness(parts["a"], sample_rate)
    event_gain = REFERENCE_LUFS + snr_lu - event_lufs
    background_gain = REFERENCE_LUFS - background_lufs
    references = {name: part * amplitude(background_gain) for name, part in parts.items()}
    mixture = references["a"] + fade(event, sample_rate) * amplitude(event_gain)
    peak = max(float(np.abs(sound).max()) for sound in (mixture, *references.values()))
    scale = min(1.0, LARGEST_PEAK / peak)
    levels = {
        "event_lufs": event_lufs,
        "background_lufs": background_lufs,
        "event_gain_db": event_gain,
        "background_gain_db": background_gain,
        "scale": scale,
    }
    return Mixed(
        (mixture * scale).astype(np.float32),
        {name: (part * scale).astype(np.float32) for name, part in references.items()},
        levels,
    )
