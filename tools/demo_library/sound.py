"""One sound of the demo library and its rendering."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tools.demo_library.synthesis.level import finished
from tools.demo_library.synthesis.timeline import Samples


@dataclass(frozen=True, slots=True)
class Sound:
    """Synthesis of one clip; its duration and its description stand in the table of the demo.

    Attributes:
        make: Function of a random generator and the duration [s] that returns the samples.
        air_db: Level of the background noise, relative to the sound [dB].
    """

    make: Callable[[np.random.Generator, float], Samples]
    air_db: float = -40.0

    def render(self, name: str, seconds: float) -> Samples:
        """Return the samples at `timeline.SAMPLE_RATE`; every call returns the same.

        Args:
            name: File name of the clip without its suffix; the seed of the randomness.
            seconds: Duration [s].
        """
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        return finished(rng, self.make(rng, seconds), air_db=self.air_db)
