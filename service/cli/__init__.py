"""The command line `minuend`, with one module for each command.

Modules with a long import time are imported inside the functions of the commands, so that `--help`
is fast. May use everything below it; it opens what it needs with `service.services`.
"""

from __future__ import annotations

import errno
from typing import Any

import click

from service import __version__
from service.audio.library_messages import divert_standard_streams
from service.catalog.inspection import SqliteError
from service.cli import (
    adopt,
    backup,
    check,
    clean,
    diff,
    embed,
    index,
    key,
    search,
    serve,
    tune,
    verify,
)
from service.cli.demo import command as demo
from service.errors import ServiceError, StartupError


class Commands(click.Group):
    """Group that lists its commands in order of addition, and reports errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of their addition."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; our errors and those of system and database end with a message, code 1."""
        try:
            return super().invoke(ctx)
        except (ServiceError, StartupError) as error:
            raise click.ClickException(_one_line(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # click handles a closed pipe itself
                raise
            raise click.ClickException(_one_line(error)) from error
        except SqliteError as error:
            message = f"the catalogue of the library cannot be used: {_one_line(error)}"
            raise click.ClickException(message) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="minuend")
def main() -> None:
    """Embed, subtract and search sounds.

    Exit codes: 0 done; 1 failed, with the reason on standard error; 2 the command line is wrong;
    3 done, but some of the files could not be read.

    Settings are read from the environment (MINUEND_...); options override them.
    """
    divert_standard_streams()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


for module in (serve, index, embed, search, diff, demo, check, verify, key, tune):
    main.add_command(module.command)
for command in (backup.backup, backup.restore, adopt.command, clean.command):
    main.add_command(command)
