"""Assign a background recording to each event (docs/method.md, B5, B8 and B9)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from service.audio.decoding import Audio, decode
from service.errors import ClientError
from training.data.loudness import loudness
from training.data.manifest import SourceClip
from training.datasets.excerpts import EXCERPT_S
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE

SHORTEST_S = 10.0  # shorter recordings are not used
QUIETEST_LUFS = -60.0  # of an excerpt; a quieter one is drawn again


@dataclass(frozen=True, slots=True)
class Pairing:
    """The backgrounds of the events of one side.

    Attributes:
        backgrounds: One for each event, in the order of the events.
        files: Number of different files.
        recordings: Number of different recordings.
        lowest_rate: Lowest sample rate of events and backgrounds [Hz].
        with_replacement: Whether files are used more than once, since there are fewer than events.
    """

    backgrounds: list[SourceClip]
    files: int
    recordings: int
    lowest_rate: int
    with_replacement: bool


def assign_backgrounds(
    events: Sequence[SourceClip], candidates: Sequence[SourceClip], seed: Sequence[int]
) -> Pairing:
    """Draw a background for every event: without replacement, or in rounds if there are too few.

    Candidates are decoded in random order until there are enough; one that is too short or mostly
    silent is skipped.

    Args:
        events: Events of one side.
        candidates: Background recordings of that side.
        seed: Of the draw.

    Raises:
        DatasetError: No candidate can be used, or a file cannot be decoded.
    """
    random = np.random.default_rng(seed)
    rates = [
        decode_source(clip.path, SAMPLE_RATE).source_rate_hz for clip in tqdm(events, desc="events")
    ]
    chosen: list[SourceClip] = []
    with tqdm(total=len(events), desc="backgrounds") as bar:
        for i in random.permutation(len(candidates)):
            if len(chosen) == len(events):
                break
            audio = decode_source(candidates[i].path, SAMPLE_RATE)
            if audio.duration_s >= SHORTEST_S and _is_audible(audio.samples):
                chosen.append(candidates[i])
                rates.append(audio.source_rate_hz)
                bar.update()
    if not chosen:
        raise DatasetError(f"none of {len(candidates)} backgrounds has {SHORTEST_S:g} s of sound")
    rounds = [chosen]
    while sum(map(len, rounds)) < len(events):
        rounds.append([chosen[i] for i in random.permutation(len(chosen))])
    return Pairing(
        list(itertools.chain(*rounds))[: len(events)],
        files=len(chosen),
        recordings=len({clip.recording for clip in chosen}),
        lowest_rate=min(rates),
        with_replacement=len(chosen) < len(events),
    )


def decode_source(path: Path, rate: int) -> Audio:
    """Decode a file and resample it to a rate [Hz].

    Raises:
        DatasetError: It cannot be read.
    """
    try:
        return decode(path, sample_rate=rate)
    except (ClientError, OSError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def _is_audible(samples: Float32[np.ndarray, " samples"]) -> bool:
    """Tell whether at least a third of the 5 s stretches are loud enough to be mixed."""
    step = round(EXCERPT_S * SAMPLE_RATE)
    levels = [
        loudness(samples[first : first + step], SAMPLE_RATE)
        for first in range(0, samples.size - step + 1, step)
    ]
    return 3 * sum(level >= QUIETEST_LUFS for level in levels) >= len(levels)
