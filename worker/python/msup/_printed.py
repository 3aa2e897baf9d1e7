"""What workers have printed that cannot report it themselves: in the executor.

`_capture.py` describes the files of the workers.
"""

from __future__ import annotations

import os
import resource
import select
import struct
import threading
from contextlib import suppress
from typing import Dict, List, Optional, Tuple

from ._payload import BEGIN, OUTPUT, PIPE
from ._stderr import show_bytes


#: So many bytes are read at once, and from a full pipe at one look: a library that prints without
#: end must not keep the executor.
_READ_AT_ONCE = 64 << 10
_FROM_A_PIPE = 1 << 20


class Printed:
    """The files of one executor's workers."""

    def __init__(self) -> None:
        #: Descriptors of files whose workers end with msup, by the names of these.
        self._kept: Dict[str, int] = {}
        #: They were shown: nothing is kept any more.
        self._is_over = False
        # At Ctrl-C two threads may keep them.
        self._lock = threading.RLock()
        #: Pipes that were full when they were looked at last, and what was in the files beside
        #: them then: how much, and since when.
        self._full: Dict[str, Optional[Tuple[int, int]]] = {}

    def show_dead(self, folder: str) -> None:
        """Shows what those workers have printed last that do not live any more."""
        for name, number in _named(folder, OUTPUT):
            if os.path.exists(f"/proc/{number}"):
                continue
            descriptor = self._taken(folder, name, number)
            if descriptor >= 0:
                _show_file(descriptor)

    def _taken(self, folder: str, name: str, number: str) -> int:
        """The file of a dead worker; its names are removed. -1 if there is none, or it is kept."""
        path = os.path.join(folder, name)
        with self._lock:
            if name in self._kept:
                return -1
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return -1
            for each in (path, os.path.join(folder, PIPE + number)):
                with suppress(OSError):
                    os.unlink(each)
            return descriptor

    def keep(self, folder: str) -> None:
        """Opens all files: msup will remove the folder. Not so many that the program has no
        descriptors left."""
        with self._lock:
            if self._is_over:
                return
            left = _descriptors_left() // 2
            for name, _ in _named(folder, OUTPUT):
                if name in self._kept:
                    continue
                if left <= 0:
                    return
                left -= 1
                with suppress(OSError):
                    path = os.path.join(folder, name)
                    self._kept[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def show_kept(self) -> None:
        """Shows what is in those files: when msup and its workers have ended."""
        with self._lock:
            self._is_over = True
            kept, self._kept = self._kept, {}
        for descriptor in kept.values():
            _show_file(descriptor)

    def empty_full_pipes(self, folder: str) -> None:
        """Shows what is in pipes that stay full, and that nothing is taken from. A library may hold
        the lock of the interpreter while it prints: then the worker cannot empty its pipe, and
        waits for ever."""
        full: Dict[str, Optional[Tuple[int, int]]] = {}
        for name, number in _named(folder, PIPE):
            path = os.path.join(folder, name)
            if not _is_full(path):
                continue
            full[name] = content = _content(os.path.join(folder, OUTPUT + number))
            if name in self._full and self._full[name] == content:
                descriptor = _opened(path)
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


def _content(path: str) -> Optional[Tuple[int, int]]:
    """The length of a file and the time when it was written last."""
    try:
        file = os.stat(path)
    except OSError:
        return None
    return file.st_size, file.st_mtime_ns


def _descriptors_left() -> int:
    """How many more this process may open."""
    try:
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return most - len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


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
        show_bytes("stdout", b"".join(pieces))
