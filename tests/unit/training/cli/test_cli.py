from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import tiny_bundle
import tiny_run
from tiny_datasets import write_corpora

from training import cli
from training.errors import RunStoppedError


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["minuend-train", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_an_error_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nowhere, out = str(tmp_path / "nowhere"), str(tmp_path / "out")
    assert run(monkeypatch, "pretrain", "--data", nowhere, "--out", out) == 1
    message = capsys.readouterr().err
    assert message.startswith("minuend-train: ")
    assert "nowhere is neither a folder nor a manifest" in message
    assert message.count("\n") == 1


def test_a_wrong_recipe_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ["--set", "loss.lambda=2", "--set", "optim.speed=1"]
    code = run(monkeypatch, "pretrain", "--data", str(tmp_path), "--out", str(out), *arguments)
    assert code == 1
    message = capsys.readouterr().err
    assert "loss.lambda" in message
    assert "optim.speed" in message
    assert not out.exists()


def test_seeds_must_be_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ("evaluate", "bgknown", str(tmp_path), "--encoder", "log-mel", "--seeds", "a,b")
    assert run(monkeypatch, *arguments) == 2
    assert "'a,b' must be whole numbers" in capsys.readouterr().err


def test_a_manifest_is_renewed_from_the_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bundle = tiny_bundle.write(tmp_path / "tiny")
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    manifest = json.loads(before["bundle.json"])
    manifest["schema_version"] = 1
    del manifest["manifest_sha256"]
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    assert run(monkeypatch, "renew", str(bundle)) == 0
    assert capsys.readouterr().out.strip() == str(bundle)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_all_corpora_of_a_manifest_are_evaluated_by_one_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    manifest = write_corpora(tmp_path / "corpora")
    monkeypatch.setattr("training.evaluation.encoders.baselines", lambda: ["log-mel"])
    places = ("--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache"))
    command = ("evaluate", "linear", "--data", str(manifest), "--corpus", "esc50", *places)
    assert run(monkeypatch, *command, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["rows"]) == 2
    assert printed["rows"][0].startswith("log-mel, esc50, trained on folds 1, 2, 3: 100.0")
    assert (tmp_path / "results" / "linear.md").is_file()
    assert run(monkeypatch, *command, "--encoder", "log-mel") == 2
    assert run(monkeypatch, "evaluate", "linear", "esc50", *places) == 2
    assert "give TASK, METADATA and --encoder; or --data" in capsys.readouterr().err


def test_a_stopped_run_has_the_exit_code_of_its_signal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def stopped(*_: object, **__: object) -> Path:
        raise RunStoppedError(15, "stopped by SIGTERM after step 3")

    monkeypatch.setattr("training.pretraining.pretrain.pretrain", stopped)
    command = ("pretrain", "--data", str(tmp_path), "--out", str(tmp_path / "run"))
    assert run(monkeypatch, *command, "--minutes", "1") == 143
    assert capsys.readouterr().err == "minuend-train: stopped by SIGTERM after step 3\n"
    assert run(monkeypatch, *command, "--minutes", "0") == 2


def test_clips_are_packed_by_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sounds, cache = tiny_run.write_sounds(tmp_path / "sounds", 4), str(tmp_path / "cache")
    command = ("data", "pack", "--recipe", "cpu", "--data", str(sounds), "--cache", cache)
    out = ("--out", str(tmp_path / "clips.pack"), "--json")
    assert run(monkeypatch, *command, *out, "--max-mib", "0.1") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["summary"].startswith("4 clips, 0.00 hours, at 64.0 kbit/s: ")
    assert (tmp_path / "clips.pack").stat().st_size < 0.1 * 2**20
    assert run(monkeypatch, *command, *out, "--max-mib", "0.001") == 1
    assert "do not fit" in capsys.readouterr().err
