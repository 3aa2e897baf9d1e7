"""The C library of task loops, loaded with ctypes: the side of a worker."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from typing import Optional

from . import _programs

#: The streams of `Loop.write`.
RESULT, STDOUT, STDERR = 0, 1, 2

#: The status of a worker that cannot attach, by which msup recognises it.
CANNOT_ATTACH = 77

#: What msup passes to workers alone. The library removes them from the environment of the process,
#: but not from Python's copy.
VARIABLES = (
    "MSUP_SEGMENT_FD",
    "MSUP_DOORBELL_FD",
    "MSUP_WORKER_SLOT",
    "MSUP_SUPERVISOR_PID",
    "MSUP_RUN_FOLDER",
    "MSUP_IN_FLIGHT",
)


class Task(ctypes.Structure):
    """`struct msup_task`: the value and its length in bytes, the task's number, the attempt, and
    what it left when it parked."""

    _fields_ = [
        ("value", ctypes.POINTER(ctypes.c_char)),
        ("length", ctypes.c_size_t),
        ("number", ctypes.c_uint64),
        ("attempt", ctypes.c_uint32),
        ("state", ctypes.POINTER(ctypes.c_char)),
        ("state_length", ctypes.c_size_t),
    ]


class LibraryError(RuntimeError):
    """The library could not do what it was asked for: why."""


class Loop:
    """The task loop of this process. Only the thread that made it may call its methods."""

    def __init__(self) -> None:
        """Takes the seat of this worker, if msup has started it. Raises LibraryError."""
        self.folder = os.environ.get("MSUP_RUN_FOLDER")
        self.thread = threading.get_ident()
        #: How many `blocking()` sections this thread is in.
        self.depth = 0
        #: This process is a copy of the worker, made by fork: it must not touch the loop.
        self.forked = False
        library = ctypes.CDLL(_programs.find("libmsup.so"))
        library.msup_error.restype = ctypes.c_char_p
        library.msup_enter.restype = library.msup_exit.restype = None
        for report in (library.msup_done_with, library.msup_fail):
            report.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        library.msup_write.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]
        self._library = library
        # Called for each task: without a Python function in between.
        self.task = Task()
        self.place = ctypes.byref(self.task)
        #: `next_task(place)`: 1 if there is a task, 0 if the program should exit, -1 on errors.
        self.next_task = library.msup_next
        #: `done_with(bytes, length)`: 0, or -1 on errors.
        self.done_with = library.msup_done_with
        self.enter = library.msup_enter
        self.exit = library.msup_exit
        #: Whether a supervisor has started this process; else tasks are lines of standard input.
        self.supervised = self.check(library.msup_attach()) == 1
        for name in VARIABLES:
            os.environ.pop(name, None)

    def check(self, result: int) -> int:
        """Returns what a function has returned. Raises LibraryError if it is -1."""
        if result < 0:
            raise LibraryError(self._library.msup_error().decode(errors="replace"))
        return result

    def value(self) -> bytes:
        """The value of the task that `next_task` has found."""
        task = self.task
        return bytes(task.value[: task.length])

    def write(self, stream: int, data: bytes) -> None:
        """Adds to a stream of the task. Raises LibraryError."""
        self.check(self._library.msup_write(stream, data, len(data)))

    def done(self) -> None:
        """The task has succeeded. Raises LibraryError."""
        self.check(self._library.msup_done())

    def fail(self, why: str) -> None:
        """The task has failed. Raises LibraryError."""
        text = why.encode(errors="backslashreplace")
        self.check(self._library.msup_fail(text, len(text)))

    def exit_status(self) -> int:
        """The status with which the program should exit."""
        return int(self._library.msup_exit_status())


#: The loop of this process, if it is a worker.
loop: Optional[Loop] = None


def attach() -> Loop:
    """The loop of this process. Exits the program if it cannot be one, with a line that says why.

    Call it before the program starts any thread.
    """
    global loop
    if loop is None:
        try:
            loop = Loop()
        except (LibraryError, OSError) as why:
            hint = " (import msup before anything that starts threads)"
            hint = hint if "thread" in str(why) else ""
            print(f"msup: {sys.argv[0]} cannot be a worker: {why}{hint}", file=sys.stderr)
            sys.exit(CANNOT_ATTACH)
    return loop


def _forget() -> None:
    """In a child of fork: the loop belongs to the parent."""
    global loop
    if loop is not None:
        loop.forked = True
        loop = None


os.register_at_fork(after_in_child=_forget)
