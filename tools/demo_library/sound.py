"""One sound of the demo library and how it becomes samples."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tools.demo_library.synthesis.level import finished
from tools.demo_library.synthesis.timeline import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """One clip of the demo library.

    Attributes:
        name: Name of the file, without its suffix.
        kind: What it is a sound of; clips of one kind answer for each other.
        title: What is heard, in a few words.
        description: What is heard, in a sentence.
        seconds: Duration [s].
        make: Makes the sound from a source of randomness and its duration [s].
        air_db: Level of the noise of the place under the sound, relative to it [dB].
    """

    name: str
    kind: str
    title: str
    description: str
    seconds: float
    make: Callable[[np.random.Generator, float], Samples]
    air_db: float = -40.0


def render(sound: Sound) -> Samples:
    """Return the samples of a sound at `timeline.SAMPLE_RATE`; the same at every call."""
    rng = np.random.default_rng(zlib.crc32(sound.name.encode()))
    return finished(rng, sound.make(rng, sound.seconds), air_db=sound.air_db)
