"""Standard output of a worker, task by task."""

from __future__ import annotations

import os
import sys

from . import _library
from ._library import Loop


class Capture:
    """What the process writes to standard output, task by task: print() in tasks, and what
    programs write that tasks start."""

    def __init__(self) -> None:
        self._file = os.memfd_create("msup-stdout", os.MFD_CLOEXEC)
        os.dup2(self._file, 1)
        self._stream = sys.stdout

    def drain(self, loop: Loop) -> None:
        """Adds what was written since the last time to the output of the task. Raises
        LibraryError."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            pass  # A task has closed it.
        written = os.lseek(self._file, 0, os.SEEK_CUR)
        if written:
            loop.write(_library.STDOUT, os.pread(self._file, written, 0))
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
