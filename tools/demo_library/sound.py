"""Description of one sound of the demo library, and its rendering."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tools.demo_library.synthesis.level import finished
from tools.demo_library.synthesis.timeline import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Description of one clip of the demo library.

    Attributes:
        name: File name without its suffix.
        kind: Class of the sound; a search for one clip should find the others of its kind.
        title: A few words.
        description: A sentence.
        seconds: Duration [s].
        make: Function of a random generator and the duration [s] that returns the samples.
        air_db: Level of the background noise, relative to the sound [dB].
    """

    name: str
    kind: str
    title: str
    description: str
    seconds: float
    make: Callable[[np.random.Generator, float], Samples]
    air_db: float = -40.0


def render(sound: Sound) -> Samples:
    """Return the samples of a sound at `timeline.SAMPLE_RATE`; every call returns the same."""
    rng = np.random.default_rng(zlib.crc32(sound.name.encode()))
    return finished(rng, sound.make(rng, sound.seconds), air_db=sound.air_db)
