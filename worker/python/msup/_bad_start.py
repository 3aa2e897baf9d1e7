"""The traceback of a worker that cannot start: shown once, not by each worker that msup tries."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Optional, Type

from ._library import Loop

#: The file in the run's folder that says that a traceback was shown; its checksum follows.
SHOWN = "client-shown-"


class BadStart:
    """Stands for `sys.excepthook` until the tasks begin."""

    def __init__(self, loop: Loop) -> None:
        self._folder = os.path.dirname(loop.folder or "")
        self._before = sys.excepthook
        sys.excepthook = self._show

    def end(self) -> None:
        """The tasks begin. If the program has set a hook itself, that stays."""
        if sys.excepthook == self._show:
            sys.excepthook = self._before

    def _show(
        self, kind: Type[BaseException], why: BaseException, trace: Optional[TracebackType]
    ) -> None:
        if self._is_first(kind, why, trace):
            self._before(kind, why, trace)

    def _is_first(
        self, kind: Type[BaseException], why: BaseException, trace: Optional[TracebackType]
    ) -> bool:
        """Whether no other worker of the run has shown the same."""
        try:
            import traceback
            import zlib

            text = "".join(traceback.format_exception(kind, why, trace))
            name = f"{SHOWN}{zlib.crc32(text.encode(errors='backslashreplace')):08x}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(os.path.join(self._folder, name), flags, 0o600))
        except FileExistsError:
            return False
        except BaseException:
            pass  # Shown once too often is better than never.
        return True


#: That of this process, if it is a worker.
_bad_start: Optional[BadStart] = None


def begin(loop: Loop) -> None:
    """Another worker may fail as this one does."""
    global _bad_start
    if _bad_start is None and loop.supervised:
        _bad_start = BadStart(loop)


def end() -> None:
    """This worker has started."""
    if _bad_start is not None:
        _bad_start.end()
