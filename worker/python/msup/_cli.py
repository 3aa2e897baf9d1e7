"""The commands `msup` and `python -m msup`: the program of the package."""

from __future__ import annotations

import os
import sys

from . import _programs


def main() -> None:
    """Becomes the program. Exits with a line if it is not there."""
    try:
        program = _programs.find("msup")
        os.execv(program, ["msup", *sys.argv[1:]])
    except OSError as why:
        sys.exit(f"msup: {why}")
