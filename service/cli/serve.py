"""`minuend serve`: the HTTP service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from service.cli.options import settings_options

if TYPE_CHECKING:
    from service.settings import Settings


@click.command("serve", epilog="Example: minuend serve --library sounds --port 8000")
@settings_options("host", "port", "bundle", "library", "device")
def command(settings: Settings) -> None:
    """Serve embeddings, differences and searches over HTTP.

    Runs until it is told to stop, by Ctrl-C or SIGTERM, and then ends the requests under way.
    """
    from service.serve import serve

    click.get_current_context().exit(serve(settings))
