"""The commands of both programs, as their `--help` shows them."""

from __future__ import annotations

from collections.abc import Iterator

import click

from service.cli import main
from training.cli import commands

WIDTH = 96
HEAD = """\
# Commands

What `--help` says of every command. Each takes `--json` to print its result as one JSON object
for programs. Results go to standard output, progress and everything else to standard error.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed; the reason is one line on standard error |
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
    """Go through a command and all below it."""
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
