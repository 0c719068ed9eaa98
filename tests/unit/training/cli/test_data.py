from __future__ import annotations

from pathlib import Path

import pytest
import tiny_apwd
import tiny_scene
from click.testing import CliRunner

from service.bundle.files import load_bundle
from training.cli import data
from training.errors import DatasetError
from training.scenes.load import load_scenes


def test_scenes_are_made_and_read_back(tiny_bundle_path: Path, tmp_path: Path) -> None:
    manifest = tiny_scene.write(tmp_path / "data")
    out = tmp_path / "set"
    arguments = ["scenes", "--scene", "rain", "--side", "test", "--pairs", "2", "--seed", "3"]
    places = {"data": manifest, "bundle": tiny_bundle_path, "out": out, "cache": tmp_path / "c"}
    arguments += [word for name, place in places.items() for word in (f"--{name}", str(place))]
    result = CliRunner().invoke(data, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert str(out) in result.stdout
    fingerprint = load_bundle(tiny_bundle_path).manifest.encoder.fingerprint
    assert len(load_scenes(out, fingerprint).pairs) == 2


def test_the_official_release_is_rendered(tiny_bundle_path: Path, tmp_path: Path) -> None:
    jams = tiny_apwd.write(tmp_path, tiny_apwd.pairs()[:1])
    out = tmp_path / "set"
    places = {"jams": jams, "fsd50k": tmp_path / "fsd50k", "esc50": tmp_path / "esc50"}
    places |= {"bundle": tiny_bundle_path, "out": out}
    arguments = [word for name, place in places.items() for word in (f"--{name}", str(place))]
    result = CliRunner().invoke(data, ["apwd", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    fingerprint = load_bundle(tiny_bundle_path).manifest.encoder.fingerprint
    assert len(load_scenes(out, fingerprint).pairs) == 1


def test_missing_data_is_an_error_before_anything_is_written(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    places = {"data": tmp_path / "none.csv", "bundle": tiny_bundle_path, "out": tmp_path / "set"}
    arguments = ["scenes", "--scene", "general", "--side", "train", "--pairs", "2"]
    arguments += [word for name, place in places.items() for word in (f"--{name}", str(place))]
    with pytest.raises(DatasetError, match=r"none\.csv is no manifest"):
        CliRunner().invoke(data, arguments, catch_exceptions=False)
    assert not (tmp_path / "set").exists()
    assert CliRunner().invoke(data, ["scenes", "--scene", "sea"]).exit_code == 2
