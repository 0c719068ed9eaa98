"""`minuend serve`: run the HTTP service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from service.cli.options import json_option, settings_options
from service.cli.output import json_text, quiet

if TYPE_CHECKING:
    from service.settings import Settings


@click.command("serve", epilog="Example: minuend serve --library sounds --port 8000")
@json_option
@settings_options("host", "port", "bundle", "library", "create", "device")
def command(*, as_json: bool, settings: Settings) -> None:
    """Serve embeddings, differences and searches over HTTP.

    The service runs until Ctrl-C or SIGTERM; it then finishes its current requests. The log is
    JSON on standard error. With --json, the address is printed when requests are accepted.
    """
    from service.server import serve

    say = click.echo if as_json else quiet

    def on_listening(host: str, port: int) -> None:
        say(json_text({"host": host, "port": port}))

    click.get_current_context().exit(serve(settings, on_listening=on_listening))
