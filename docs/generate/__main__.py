"""Generator of docs/reference from the code: `python docs/generate [OUT_DIR]`.

`make reference` runs it. A test compares its output with the committed pages.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import calls
import click
import commands
import error_codes
import measurements
import modules
import variables

NOTE = "<!-- Written by `make reference` from the code. Do not edit. -->\n\n"

PAGES: dict[str, Callable[[], str]] = {
    "calls.md": calls.page,
    "commands.md": commands.page,
    "errors.md": error_codes.page,
    "metrics.md": measurements.page,
    "modules.md": modules.page,
    "settings.md": variables.page,
}


@click.command()
@click.argument(
    "out_dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(__file__).parents[1] / "reference",
)
def main(out_dir: Path) -> None:
    """Write the pages into OUT_DIR."""
    out_dir.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (out_dir / name).write_text(NOTE + page(), encoding="utf-8")


main()
