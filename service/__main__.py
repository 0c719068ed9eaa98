"""`python -m service`: serve with the settings of the environment."""

from __future__ import annotations

import sys

from service.errors import StartupError
from service.server import serve
from service.settings import load_settings


def main() -> int:
    """Serve with the settings of the environment, and return the exit code of the process."""
    try:
        settings = load_settings()
    except StartupError as error:
        sys.stderr.write(f"minuend cannot start: {error}\n")
        return error.exit_code
    return serve(settings)


if __name__ == "__main__":
    sys.exit(main())
