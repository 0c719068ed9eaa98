"""Page of the commands of both programs, from their `--help`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from service.cli import main
from training.cli import commands

WIDTH = 96
HEAD = """\
# Commands

The `--help` of every command. Each command takes `--json` to print its result as one JSON object
for programs. Results go to standard output; progress and all other output go to standard error.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed; one line on standard error has the reason |
| 2 | the command line is wrong |
| 3 | done, but some of the files could not be read; they are listed (`minuend`) |

"""


def page() -> str:
    """Return the page."""
    programs = {"minuend": main, "minuend-train": commands}
    sections = [
        f"{'#' * (2 + bool(context.parent))} {context.command_path}\n\n"
        f"```text\n{context.get_help()}\n```\n"
        for name, program in programs.items()
        for context in _contexts(name, program, None)
    ]
    return HEAD + "\n".join(sections)


def _contexts(
    name: str, command: click.Command, parent: click.Context | None
) -> Iterator[click.Context]:
    """Iterate over the contexts of a command and its subcommands."""
    context = click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        **command.context_settings,
    )
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            yield from _contexts(below, command.commands[below], context)
