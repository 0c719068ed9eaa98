"""``python -m training.cli``: the command ``minuend-train``, as torchrun starts it."""

from __future__ import annotations

from training.cli import main

main()
