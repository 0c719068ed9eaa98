"""The errors that training raises.

TrainingError
├─ RecipeError           a recipe or an override is wrong; lists every fault
├─ DatasetError          the data cannot be used: nothing was found, or too much is unreadable
├─ CheckpointError       a checkpoint is missing, damaged or belongs to another run
├─ RunStoppedError       a signal stopped a run, which has a checkpoint
├─ DivergenceError       a loss is not finite
├─ CollapseError         the embeddings of different sounds became the same
├─ TextEncoderError      the files of the text encoder are missing, or have another checksum
├─ LicenceError          the licence of a training clip does not allow shipping the result
└─ ExportParityError     the exported graph differs from the torch model
"""

from __future__ import annotations


class TrainingError(Exception):
    """Base of all errors that training raises."""


class RecipeError(TrainingError):
    """A recipe or an override is wrong; the message lists every fault found."""


class DatasetError(TrainingError, OSError):
    """The data cannot be used."""


class CheckpointError(TrainingError):
    """A checkpoint is missing, damaged or belongs to another run."""


class RunStoppedError(TrainingError):
    """A signal stopped a run, which has written a checkpoint.

    Args:
        number: Number of the signal.
        message: Where the run stands, and how to continue it.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class DivergenceError(TrainingError):
    """A loss is not finite."""


class CollapseError(TrainingError):
    """The embeddings of different sounds became the same."""


class TextEncoderError(TrainingError):
    """The files of the text encoder are missing, or have another checksum."""


class TeacherError(TrainingError):
    """The files of the teacher are missing, or have another checksum."""


class LicenceError(TrainingError):
    """The licence of a training clip does not allow shipping the result."""


class ExportParityError(TrainingError):
    """The exported graph does not compute what the torch model computes."""
