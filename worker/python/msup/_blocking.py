"""Blocking sections: while a task waits, another one computes."""

from __future__ import annotations

import sys
from contextlib import ContextDecorator
from threading import get_ident
from typing import Any


class blocking(ContextDecorator):
    """Around calls that may block: the CPU of this task goes to another one meanwhile.

        with msup.blocking():
            data = urllib.request.urlopen(url).read()

    Also a decorator. It acts in the main thread of a worker. Elsewhere, as in a thread of a task or
    in a program without msup, it does nothing. Sections may be nested.
    """

    def __enter__(self) -> blocking:
        loop = _loop()
        if loop is not None:
            loop.depth += 1
            if loop.depth == 1:
                loop.enter()
        return self

    def __exit__(self, *exception: Any) -> None:
        loop = _loop()
        if loop is not None and loop.depth > 0:
            loop.depth -= 1
            if loop.depth == 0:
                loop.exit()


def _loop() -> Any:
    """The loop of this process, if this thread may use it. Does not load the library."""
    library = sys.modules.get("msup._library")
    loop = None if library is None else library.loop
    return loop if loop is not None and loop.thread == get_ident() else None
