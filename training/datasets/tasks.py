"""The nine tasks of the paper's table 3: lengths, learning rates and preparers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training.datasets import preparers
from training.datasets.metadata import TaskClip

DEFAULT_RATE = 3e-4


@dataclass(frozen=True, slots=True)
class Task:
    """A task of linear evaluation (docs/method.md, "Tasks of linear evaluation").

    Attributes:
        title: Its name in the paper.
        unit_s: Length that is embedded [s].
        learning_rate: Of the classifier.
        classes: Number of classes in the paper's copy; None if it is not known.
        clips: Number of clips in the paper's copy; None if it depends on the copy.
        prepare: Reader of the folder that the data set unpacks to.
    """

    title: str
    unit_s: float
    learning_rate: float
    classes: int | None = None
    clips: int | None = None
    prepare: Callable[[Path], list[TaskClip]] | None = None


TASKS = {
    "esc50": Task("ESC-50", 5.0, 1e-3, 50, 2000, preparers.prepare_esc50),
    "us8k": Task("US8K", 4.0, 3e-5, 10, 8732, preparers.prepare_us8k),
    "spcv2": Task("SPCV2", 1.0, 3e-5, 35, 105_829, preparers.prepare_spcv2),
    "vc1": Task("VC1", 8.2, 4e-5, 1251, 153_516, preparers.prepare_vc1),
    "voxforge": Task("VF", 5.8, 1e-4, 6, None, preparers.prepare_voxforge),
    "cremad": Task("CRM-D", 2.5, DEFAULT_RATE, 6, 7438, preparers.prepare_cremad),
    "gtzan": Task("GTZAN", 30.0, 1e-3, 10, 930, preparers.prepare_gtzan),
    "nsynth": Task("NSynth", 4.0, 1e-3, 11, 305_979, preparers.prepare_nsynth),
    "surge": Task("Surge", 4.0, 3e-5, 88, None, preparers.prepare_surge),
}
"""By the name that the commands take."""
