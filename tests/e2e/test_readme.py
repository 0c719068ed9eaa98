"""The README's calls and commands do what they say."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import httpx
import pytest
import synth
from click.testing import CliRunner
from server_process import running

from service.cli import main
from training.cli import commands as train_commands

pytestmark = pytest.mark.e2e

README = Path(__file__).parents[2] / "README.md"


def readme_lines(start: str) -> list[list[str]]:
    """Split the command lines of the README's code blocks that begin with a word."""
    blocks = README.read_text(encoding="utf-8").split("```")[1::2]
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(f"{start} ")]


def post(client: httpx.Client, words: list[str], folder: Path) -> httpx.Response:
    """Send the form of a curl line."""
    options, url = words[1:-1], words[-1]
    assert set(options[0::2]) == {"-F"}, options
    files, fields = {}, {}
    for option in options[1::2]:
        name, _, value = option.partition("=")
        if value.startswith("@"):
            files[name] = (folder / value[1:]).read_bytes()
        else:
            fields[name] = value
    return client.post(url.removeprefix("localhost:8000"), files=files, data=fields)


def test_every_curl_call_is_answered(towers_bundle_path: Path, tmp_path: Path) -> None:
    names = ("rain.wav", "thunder.ogg", "today.wav", "yesterday.wav", "storm.wav")
    for seed, name in enumerate(names):
        form = "OGG" if name.endswith("ogg") else "WAV"
        (tmp_path / name).write_bytes(synth.encode(synth.noise(seed), form=form))
    calls = readme_lines("curl")
    assert len(calls) == 7

    with running(towers_bundle_path, tmp_path / "library") as server:
        answers = [post(server.client, call, tmp_path) for call in calls]

    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 200, 200]
    assert answers[3].json()["hits"][0]["score"] == pytest.approx(1, abs=1e-3)
    assert len(answers[4].json()["hits"]) == 1
    assert set(answers[5].json()["hits"][0]["contributions"]) == {"audio", "modifier"}
    assert set(answers[6].json()["hits"][0]["contributions"]) == {"modifier"}


@pytest.mark.parametrize("words", readme_lines("minuend"), ids=" ".join)
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


@pytest.mark.parametrize("words", readme_lines("minuend-train"), ids=" ".join)
def test_every_training_command_is_understood(words: list[str]) -> None:
    command: click.Command = train_commands
    names = words[1:]
    while isinstance(command, click.Group):
        command = command.commands[names.pop(0)]

    assert command.make_context(words[1], names).params
