"""The script that pre-trains on one machine, from a pack to parts, here on a tiny pack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_run
import yaml

from training.data.clips import TrainingData
from training.data.manifest import read_table
from training.data.pack import write_pack
from training.export.parts import load_parent, read_parts
from training.recipe import load_recipe

SCRIPT = Path(__file__).parents[2] / "deploy" / "gpu" / "pretrain.sh"
TINY = {
    "name": "tiny",
    "data": {"held_out": 0.2},
    "views": {"bank_size": 8},
    "optim": {"batch_size": 2, "epochs": 1, "schedule": "cosine"},
    "compute": {"precision": "float32", "log_every": 1, "store": "device"},
}


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    sounds = tiny_run.write_sounds(tmp_path / "sounds", 6)
    recipe = load_recipe(str(tmp_path / "tiny.yaml"))
    store = TrainingData(sounds, tmp_path / "cache").open_all(recipe)
    write_pack(tmp_path / "clips.pack", store, recipe, 100_000)
    return tmp_path / "clips.pack"


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHON": sys.executable} | environment,
        check=False,
    )


def test_a_pack_becomes_an_encoder_in_small_parts(pack: Path, tmp_path: Path) -> None:
    """On a machine with the code, the pack and the recipe alone, from any working directory."""
    out, recipe = tmp_path / "out", tmp_path / "tiny.yaml"
    done = run(pack, out, 0.02, "--recipe", recipe, RUN=str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    files = {path.name: path.stat().st_size for path in out.iterdir()}
    assert {"encoder.json", "encoder-00.part", "metrics.jsonl", "ATTRIBUTION.csv"} <= set(files)
    assert len(files) <= 8
    assert max(files.values()) <= 16 * 2**20
    content = read_parts(out)
    assert content["progress"]["seconds"] >= 1.2
    assert content["recipe"]["name"] == "tiny"
    assert load_parent(out).samples_seen == content["progress"]["samples_seen"] > 0
    roles = {row["path"]: row["role"] for row in read_table(out / "ATTRIBUTION.csv")}
    assert set(roles) == {f"sound{i:02}.wav" for i in range(6)}
    assert json.loads((out / "encoder.json").read_text())["format"] == 1


def test_without_its_arguments_it_says_how_it_is_called(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 2
    assert "deploy/gpu/pretrain.sh PACK OUT MINUTES" in done.stderr
