"""Excerpts of a background recording, and the mixture of an event with one of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float32

from training.data.loudness import amplitude, fade, loudness

EXCERPT_S = 5.0
REFERENCE_LUFS = -30.0  # loudness of excerpt (a) in the mixture (docs/method.md, B1)
LARGEST_PEAK = 0.999


@dataclass(frozen=True, slots=True)
class ExcerptStarts:
    """First samples of the three excerpts of a background (paper, section 5.2).

    Attributes:
        a: Of the excerpt that is mixed with the event.
        b: Of the excerpt that overlaps (a) by half.
        c: Of the excerpt that does not overlap (a).
    """

    a: int
    b: int
    c: int


@dataclass(frozen=True, slots=True)
class Mixture:
    """A mixture with its references and levels.

    Attributes:
        mixture: Event plus excerpt (a).
        references: The excerpts (a), (b) and (c), all at the gain of (a), so that (a) is exactly
            the background in the mixture (docs/method.md, B2).
        levels: Loudness of event and excerpt before mixing [LUFS], gains [dB], and the factor
            that keeps all of them within full scale.
    """

    mixture: np.ndarray
    references: dict[str, np.ndarray]
    levels: dict[str, float]


def draw_starts(length: int, excerpt: int, random: np.random.Generator) -> ExcerptStarts:
    """Draw the starts of the excerpts (docs/method.md, B3 and B4).

    (a) starts in the first ``length - 2 excerpt`` samples, and (c) anywhere after the end of (a);
    in half of the cases both are mirrored in time. (b) starts half an excerpt before or after
    (a), drawn from those that fit.

    Args:
        length: Samples of the background, at least two excerpts.
        excerpt: Samples of an excerpt.
        random: Source of the draws.

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
    return ExcerptStarts(a, fitting[int(random.integers(len(fitting)))], c)


def mix_event(
    event: Float32[np.ndarray, " excerpt"],
    background: Float32[np.ndarray, " samples"],
    starts: ExcerptStarts,
    snr_lu: float,
    sample_rate: int,
) -> Mixture:
    """Mix an event with excerpt (a) of a background, with Scaper's gains.

    The rule is in docs/method.md, "Loudness, levels and fades".

    Args:
        event: As long as an excerpt.
        background: The whole recording.
        starts: First samples of its excerpts.
        snr_lu: Loudness of the event over that of the excerpt [LU].
        sample_rate: Of all samples [Hz].
    """
    excerpt = event.size
    parts = {name: background[i : i + excerpt] for name, i in asdict(starts).items()}
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
    return Mixture(
        (mixture * scale).astype(np.float32),
        {name: (part * scale).astype(np.float32) for name, part in references.items()},
        levels,
    )
