"""The nine tasks of table 3, and what stands for a task that is not among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training.datasets.environmental import prepare_esc50, prepare_us8k
from training.datasets.metadata import TaskClip
from training.datasets.music import prepare_gtzan, prepare_nsynth, prepare_surge
from training.datasets.speech import (
    prepare_cremad,
    prepare_spcv2,
    prepare_vc1,
    prepare_voxforge,
)

DEFAULT_RATE = 3e-4


@dataclass(frozen=True, slots=True)
class Task:
    """A task of linear evaluation (facts, section 5.2).

    Attributes:
        title: As the paper names it.
        unit_s: Length of what is embedded [s].
        learning_rate: Of the probe.
        classes: How many there should be; None where it is not known.
        clips: How many there should be; None where it depends on the copy.
        prepare: Reads the data set's own folder.
    """

    title: str
    unit_s: float
    learning_rate: float
    classes: int | None = None
    clips: int | None = None
    prepare: Callable[[Path], list[TaskClip]] | None = None


TASKS = {
    "esc50": Task("ESC-50", 5.0, 1e-3, 50, 2000, prepare_esc50),
    "us8k": Task("US8K", 4.0, 3e-5, 10, 8732, prepare_us8k),
    "spcv2": Task("SPCV2", 1.0, 3e-5, 35, 105_829, prepare_spcv2),
    "vc1": Task("VC1", 8.2, 4e-5, 1251, 153_516, prepare_vc1),
    "voxforge": Task("VF", 5.8, 1e-4, 6, None, prepare_voxforge),
    "cremad": Task("CRM-D", 2.5, DEFAULT_RATE, 6, 7438, prepare_cremad),
    "gtzan": Task("GTZAN", 30.0, 1e-3, 10, 930, prepare_gtzan),
    "nsynth": Task("NSynth", 4.0, 1e-3, 11, 305_979, prepare_nsynth),
    "surge": Task("Surge", 4.0, 3e-5, 88, None, prepare_surge),
}
"""By the name the commands take."""
