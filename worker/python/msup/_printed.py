"""What workers have printed that cannot report it themselves: in the executor.

`_capture.py` describes the files of the workers.
"""

from __future__ import annotations

import os
import select
import struct
from contextlib import suppress
from typing import List, Optional, Set

from ._payload import BEGIN, OUTPUT, PIPE
from ._stderr import show


#: So many bytes are read at once, and from a full pipe at one look: a library that prints without
#: end must not keep the executor.
_READ_AT_ONCE = 64 << 10
_FROM_A_PIPE = 1 << 20


class Printed:
    """The files of one executor's workers."""

    def __init__(self) -> None:
        #: Descriptors of files whose workers end with msup.
        self._kept: List[int] = []
        #: Pipes that were full when they were looked at last.
        self._full: Set[str] = set()

    def show_dead(self, folder: str) -> None:
        """Shows what those workers have printed last that do not live any more."""
        for name, number in _named(folder, OUTPUT):
            if os.path.exists(f"/proc/{number}"):
                continue
            path = os.path.join(folder, name)
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            for each in (path, os.path.join(folder, PIPE + number)):
                with suppress(OSError):
                    os.unlink(each)
            _show_file(descriptor)

    def keep(self, folder: str) -> None:
        """Opens all files: msup will remove the folder."""
        if self._kept:
            return
        for name, _ in _named(folder, OUTPUT):
            try:
                self._kept.append(os.open(os.path.join(folder, name), os.O_RDONLY | os.O_CLOEXEC))
            except OSError:
                continue

    def show_kept(self) -> None:
        """Shows what is in those files: when msup and its workers have ended."""
        while self._kept:
            _show_file(self._kept.pop())

    def empty_full_pipes(self, folder: str) -> None:
        """Shows what is in pipes that stay full. A library may hold the lock of the interpreter
        while it prints: then the worker cannot empty its pipe, and waits for ever."""
        full = {name for name, _ in _named(folder, PIPE) if _is_full(os.path.join(folder, name))}
        for name in full & self._full:
            descriptor = _opened(os.path.join(folder, name))
            if descriptor >= 0:
                _show(descriptor, _FROM_A_PIPE)
        self._full = full


def _named(folder: str, beginning: str) -> List[tuple[str, str]]:
    """The files whose names begin so, and the numbers of their processes."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [(name, name[len(beginning) :]) for name in names if name.startswith(beginning)]


def _opened(pipe: str) -> int:
    """An end of a pipe, -1 if there is none. Not for reading alone: the last reader that goes
    would break it."""
    try:
        return os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return -1


def _is_full(pipe: str) -> bool:
    """Whether a writer would wait."""
    descriptor = _opened(pipe)
    if descriptor < 0:
        return False
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        return not poll.poll(0)
    finally:
        os.close(descriptor)


def _show_file(descriptor: int) -> None:
    """Shows what is left in the file of a worker, and closes it."""
    try:
        (begin,) = BEGIN.unpack(os.pread(descriptor, BEGIN.size, 0))
        os.lseek(descriptor, begin, os.SEEK_SET)
    except (OSError, struct.error):
        # Its worker has died before it wrote anything.
        os.lseek(descriptor, 0, os.SEEK_END)
    _show(descriptor)


def _show(descriptor: int, at_most: Optional[int] = None) -> None:
    """Shows what can be read from this, and closes it. `at_most`: about so many bytes."""
    pieces: List[bytes] = []
    try:
        while at_most is None or len(pieces) * _READ_AT_ONCE < at_most:
            piece = os.read(descriptor, _READ_AT_ONCE)
            if not piece:
                break
            pieces.append(piece)
    except OSError:
        pass  # A pipe is empty.
    finally:
        os.close(descriptor)
    if pieces:
        show("stdout", b"".join(pieces).decode(errors="backslashreplace"))
