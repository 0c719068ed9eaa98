"""What can go wrong in training, each with its own name.

TrainingError
├─ RecipeError           a recipe or an override is wrong; lists every fault
├─ DatasetError          the data cannot be used: nothing found, or too much unreadable
├─ CheckpointError       a checkpoint is missing, damaged or belongs to another run
├─ DivergenceError       a loss is not finite any more
├─ CollapseError         the embeddings of different sounds became the same
├─ TextEncoderError      the files of the text encoder are missing or not the ones meant
├─ LicenceError          a clip that was heard does not let the result be shipped
└─ ExportParityError     the exported graph differs from the torch model
"""

from __future__ import annotations


class TrainingError(Exception):
    """Root of every error that training raises on purpose."""


class RecipeError(TrainingError):
    """A recipe or an override is wrong; the message lists every fault found."""


class DatasetError(TrainingError, OSError):
    """The data cannot be used."""


class CheckpointError(TrainingError):
    """A checkpoint is missing, damaged or belongs to another run."""


class DivergenceError(TrainingError):
    """A loss is not finite any more."""


class CollapseError(TrainingError):
    """The embeddings of different sounds became the same."""


class TextEncoderError(TrainingError):
    """The files of the text encoder are missing or not the ones meant."""


class LicenceError(TrainingError):
    """A clip that was heard does not let the result be shipped."""


class ExportParityError(TrainingError):
    """The exported graph does not compute what the torch model computes."""
