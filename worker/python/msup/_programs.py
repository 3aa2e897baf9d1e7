"""Where the programs of msup are, and its library."""

from __future__ import annotations

import os

#: A folder with other builds of the programs and the library, for those that build them.
VARIABLE = "MSUP_PROGRAMS"


def find(name: str) -> str:
    """The path of a program or of the library. Raises FileNotFoundError if it is not there."""
    named = os.environ.get(VARIABLE)
    folder = named or os.path.join(os.path.dirname(os.path.abspath(__file__)), "_programs")
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        where = f"{VARIABLE}={named}" if named else "the package msup is not complete: reinstall it"
        raise FileNotFoundError(f"{path} is not there ({where})")
    return path
