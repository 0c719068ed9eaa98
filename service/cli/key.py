"""`minuend key`: add, list and remove API keys, also while the service runs."""

from __future__ import annotations

from pathlib import Path

import click

from service.cli.options import ANY_PATH, json_option
from service.cli.output import json_text

KEYS = click.option(
    "--keys",
    "path",
    type=ANY_PATH,
    required=True,
    envvar="MINUEND_KEYS",
    help="File of keys  [MINUEND_KEYS]",
)


@click.group("key", epilog="Example: minuend key add studio --scope write --keys keys.txt")
def command() -> None:
    """Add, list and remove the API keys of a service.

    A service with this file (MINUEND_KEYS) checks it for changes once a second. The file has only
    hashes of the keys: a key is shown once, when it is added.
    """


@command.command("add")
@click.argument("name")
@click.option("--scope", type=click.Choice(["read", "write"]), default="read", show_default=True)
@KEYS
@json_option
def add(*, name: str, scope: str, path: Path, as_json: bool) -> None:
    """Add a key for NAME and print it. It cannot be shown again."""
    from service.api.keys import make_key, read_keys, write_keys
    from service.errors import KeysError

    keys = read_keys(path) if path.exists() else ()
    if any(key.name == name for key in keys):
        raise KeysError(f"there is a key named {name!r} already; remove it first")
    secret, key = make_key(name, "write" if scope == "write" else "read")
    write_keys(path, [*keys, key])
    click.echo(json_text({"name": name, "scope": scope, "key": secret}) if as_json else secret)


@command.command("list")
@KEYS
@json_option
def list_keys(*, path: Path, as_json: bool) -> None:
    """List the names and scopes of all keys."""
    from service.api.keys import read_keys

    keys = [{"name": key.name, "scope": key.scope} for key in read_keys(path)]
    if as_json:
        click.echo(json_text({"keys": keys}))
        return
    for key in keys:
        click.echo(f"{key['scope']:5}  {key['name']}")


@command.command("remove")
@click.argument("name")
@KEYS
@json_option
def remove(*, name: str, path: Path, as_json: bool) -> None:
    """Remove the key of NAME, which is then no longer valid."""
    from service.api.keys import read_keys, write_keys
    from service.errors import KeysError

    keys = read_keys(path)
    kept = [key for key in keys if key.name != name]
    if len(kept) == len(keys):
        raise KeysError(f"there is no key named {name!r}")
    write_keys(path, kept)
    if as_json:
        click.echo(json_text({"removed": name}))
