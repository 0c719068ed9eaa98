"""Every command of both programs has the option --json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from service.cli import main
from training.cli import commands


def leaves(command: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Iterate over the commands without subcommands, with their names."""
    if not isinstance(command, click.Group):
        yield names, command
        return
    for name, below in command.commands.items():
        yield from leaves(below, *names, name)


LEAVES = [*leaves(main, "minuend"), *leaves(commands, "minuend-train")]
IDS = [" ".join(names) for names, _ in LEAVES]


@pytest.mark.parametrize(("names", "command"), LEAVES, ids=IDS)
def test_every_command_prints_json_if_asked(names: tuple[str, ...], command: click.Command) -> None:
    (option,) = (p for p in command.params if "--json" in p.opts)
    assert isinstance(option, click.Option)
    assert option.is_flag


@pytest.mark.parametrize(("names", "command"), LEAVES, ids=IDS)
def test_an_unknown_option_is_exit_code_2(names: tuple[str, ...], command: click.Command) -> None:
    program = main if names[0] == "minuend" else commands
    result = CliRunner().invoke(program, [*names[1:], "--no-such-option"])
    assert result.exit_code == 2
    assert "--no-such-option" in result.stderr
    assert result.stdout == ""


def test_a_result_as_json_is_one_object_and_nothing_else(tmp_path: Path) -> None:
    arguments = ["evaluate", "report", "--results", str(tmp_path), "--json"]
    result = CliRunner().invoke(commands, arguments)
    assert json.loads(result.stdout) == {"page": str(tmp_path / "paper.md")}
