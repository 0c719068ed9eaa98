"""`python -m service.cli`: the command `minuend` if it is not on the PATH."""

from __future__ import annotations

from service.cli import main

main(prog_name="minuend")
