"""`@msup.worker`: a file that is a task loop for `msup --worker`."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def worker(function: F) -> F:
    """Makes a file a task loop: `msup --worker ./convert.py ::: *.png` calls the function with each
    value, as text (`os.fsdecode`).

        #!/usr/bin/env python3
        import msup

        @msup.worker
        def convert(path):
            ...

    The loop begins here if the file is the main program, and then the program exits: put the
    function last. It returns None, or text or bytes, which are the task's output like what it
    prints. An exception fails the task. Without msup, values are the lines of standard input.
    """
    if function.__module__ == "__main__":
        sys.exit(_run(function))
    return function


def _run(function: Callable[[str], Any]) -> int:
    """Runs tasks until there are no more. Returns the exit status."""
    from . import _bad_start, _library
    from ._capture import Capture

    loop = _library.attach()
    _bad_start.end()
    folder = os.path.dirname(loop.folder or "")
    capture = Capture(folder, has_run=True) if loop.supervised else None
    while loop.check(loop.next_task(loop.place)) == 1:
        value = os.fsdecode(loop.value())
        failure = None
        try:
            show(function(value))
        except BaseException as why:
            failure = why
        if loop.forked:
            # A child of fork that has come back from the task: the task is not its own.
            os._exit(0)
        if loop.depth:
            loop.depth = 0
            loop.exit()
        if capture is not None:
            capture.drain(loop)
        else:
            sys.stdout.flush()
        if failure is None:
            loop.done()
        else:
            loop.write(_library.STDERR, _traceback(failure))
            loop.fail(_why(failure))
    return loop.exit_status()


def show(result: Any) -> None:
    """Prints what a task has returned. Raises TypeError for what is neither text nor bytes."""
    if result is None:
        return
    if isinstance(result, str):
        print(result)
    elif isinstance(result, bytes):
        sys.stdout.flush()
        sys.stdout.buffer.write(result)
    else:
        kind = type(result).__name__
        raise TypeError(f"a worker returns None, str or bytes, not {kind}")


def _why(failure: BaseException) -> str:
    """One line. A name that is missing may be one of those below the decorator."""
    from ._payload import summary_of

    text = " ".join(summary_of(failure).split())
    if isinstance(failure, NameError):
        text += " (what stands below @msup.worker is not defined)"
    return text


def _traceback(failure: BaseException) -> bytes:
    """The traceback without the frame of this file."""
    import traceback

    trace = failure.__traceback__
    trace = trace.tb_next if trace is not None else None
    lines = traceback.format_exception(type(failure), failure, trace)
    return "".join(lines).encode(errors="backslashreplace")
