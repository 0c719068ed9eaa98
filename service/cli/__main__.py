"""`python -m service.cli`: the command `minuend` where it is not on the path."""

from __future__ import annotations

from service.cli import main

main(prog_name="minuend")
