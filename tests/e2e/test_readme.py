"""Every call and command of the README runs."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
import stand_in_curl
import synth
from click.testing import CliRunner
from fenced import command_lines
from server_process import running

from service.cli import main
from training.cli import commands as train_commands

pytestmark = pytest.mark.e2e

README = Path(__file__).parents[2] / "README.md"


def test_every_curl_call_is_answered(towers_bundle_path: Path, tmp_path: Path) -> None:
    names = ("rain.wav", "thunder.ogg", "today.wav", "yesterday.wav", "storm.wav")
    for seed, name in enumerate(names):
        form = "OGG" if name.endswith("ogg") else "WAV"
        (tmp_path / name).write_bytes(synth.encode(synth.noise(seed), form=form))
    calls = command_lines(README, "curl")
    assert len(calls) == 7

    with running(towers_bundle_path, tmp_path / "library") as server:
        address = f"127.0.0.1:{server.port}"
        words = [[word.replace("localhost:8000", address) for word in call[1:]] for call in calls]
        answers = [server.client.send(stand_in_curl.request(call, tmp_path)) for call in words]

    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 200, 200]
    assert answers[3].json()["hits"][0]["score"] == pytest.approx(1, abs=1e-3)
    assert len(answers[4].json()["hits"]) == 1
    assert set(answers[5].json()["hits"][0]["contributions"]) == {"audio", "modifier"}
    assert set(answers[6].json()["hits"][0]["contributions"]) == {"modifier"}


@pytest.mark.parametrize("words", command_lines(README, "minuend"), ids=" ".join)
def test_every_shell_command_runs(
    words: list[str], tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in range(2):
        synth.write(tmp_path / "FOLDER" / f"{seed}.wav", synth.noise(seed))
    synth.write(tmp_path / "clip.wav", synth.noise(3))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "default").symlink_to(tiny_bundle_path)
    run = CliRunner().invoke
    if words[1:] != ["index", "FOLDER"]:
        assert run(main, ["index", "FOLDER"]).exit_code == 0

    result = run(main, words[1:])

    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("words", command_lines(README, "minuend-train"), ids=" ".join)
def test_every_training_command_is_valid(words: list[str]) -> None:
    command: click.Command = train_commands
    names = words[1:]
    while isinstance(command, click.Group):
        command = command.commands[names.pop(0)]

    assert command.make_context(words[1], names).params
