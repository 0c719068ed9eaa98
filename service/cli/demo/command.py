"""`minuend demo`: start the service on the demo clips and show its answers."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Never

import click

from service.cli.options import given, json_option, settings_options
from service.cli.output import json_text, quiet, shown_path

Say = Callable[[str], object]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

if TYPE_CHECKING:
    from service.cli.demo.server import Server
    from service.settings import Settings


@click.command("demo", epilog="Example: minuend demo --once")
@click.option("--once", is_flag=True, help="Stop after the answers.")
@json_option
@settings_options("port", "library", "bundle", "device")
def command(*, once: bool, as_json: bool, settings: Settings) -> None:
    """Start the service, fill a library with demo clips, and print answers of the service.

    The library is temporary unless --library is given. The service then runs until Ctrl-C. Without
    --port, another port is used if that of the settings is not free.
    """
    from service.cli.demo.server import Server, choose_port
    from service.loading import check_bundle

    start = time.perf_counter()
    check_bundle(settings)
    with (
        _interruptible(),
        tempfile.TemporaryDirectory(prefix="minuend-demo-") as scratch,
    ):
        if not given(["library"]):
            settings = settings.model_copy(
                update={"library": Path(scratch) / "library", "create": True}
            )
        is_fixed = "port" in settings.model_fields_set and settings.port != 0
        with Server(
            port=settings.port if is_fixed else choose_port(settings.port),
            bundle=settings.bundle,
            library=settings.library,
            create=settings.create,
            device=settings.device,
            log=Path(scratch) / "service.log",
        ) as server:
            say = quiet if as_json else click.echo
            answers = _run_tour(server, settings, Path(scratch), start, say)
            if as_json:
                click.echo(json_text({"url": server.url, "answers": answers}))
            if not once:
                _wait(server, say)


def _run_tour(
    server: Server, settings: Settings, scratch: Path, start: float, say: Say
) -> list[dict[str, Any]]:
    """Send the requests of the tour, print them and return the answers."""
    say(f"Starting the service at {server.url} with the bundle {settings.bundle} ...")
    # These imports take as long as the start of the service, and run at the same time.
    from service.cli.demo.tour import CLIPS, TABLE, Tour
    from service.cli.index import index_folder

    tour = Tour(server, scratch, say)
    server.wait_ready()
    say(f"ready after {time.perf_counter() - start:.1f} s")
    tour.embed()
    say("\nThe demo library")
    say(
        f"   $ minuend index {shown_path(CLIPS)} --metadata {shown_path(TABLE)}"
        f" --bundle {shown_path(settings.bundle)} --library {shown_path(settings.library)}"
    )
    indexed = index_folder(settings, CLIPS, TABLE)
    say(f"   {indexed.report.added} clips added, {indexed.n_clips} in the library")
    tour.subtract()
    tour.search()
    return tour.answers


def _wait(server: Server, say: Say) -> None:
    try:
        say(
            f"\nThe service goes on at {server.url}: open it in a browser, or try the commands"
            " above.\nCtrl-C stops it."
        )
        server.wait()
    except KeyboardInterrupt:
        say("\nStopping ...")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and on SIGINT, also if the shell ignores SIGINT."""

    def interrupt(number: int, frame: FrameType | None) -> Never:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
