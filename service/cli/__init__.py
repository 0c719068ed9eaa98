"""The command `minuend`: one module for each of its commands.

What takes time to import is imported inside the commands, so that asking for help takes none.
"""

from __future__ import annotations

import errno
from typing import Any

import click

from service import __version__
from service.cli import backup, check, diff, embed, index, key, search, serve, tune
from service.cli.demo import command as demo
from service.errors import ServiceError, StartupError


class Commands(click.Group):
    """Commands in the order in which they were added, whose failures are one line each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what we or the system raise on purpose becomes exit code 1."""
        try:
            return super().invoke(ctx)
        except (ServiceError, StartupError) as error:
            raise click.ClickException(_one_line(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # click ends quietly when nobody reads any more
                raise
            raise click.ClickException(_one_line(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="minuend")
def main() -> None:
    """Embed, subtract and search sounds.

    Exit codes: 0 done; 1 failed, the reason is told on standard error; 2 the command line is
    wrong; 3 done, but some of the files could not be read.

    Settings are read from the environment (MINUEND_...); options override them.
    """


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


for module in (serve, index, embed, search, diff, demo, check, key, tune):
    main.add_command(module.command)
for command in (backup.backup, backup.restore):
    main.add_command(command)
