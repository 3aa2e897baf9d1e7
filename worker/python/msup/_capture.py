"""Standard output of a worker, task by task.

Descriptor 1 is a pipe. What programs and libraries write to it, also by opening /dev/stdout anew, a
thread moves to a file in the run's folder; a pipe alone would be full at some time. What Python
prints goes to that file at once, so that it is still there when this process is not.
"""

from __future__ import annotations

import _thread
import ctypes
import io
import mmap
import os
import select
import signal
import sys
import threading
from typing import Any, List, Tuple

from . import _library, _payload
from ._library import Loop

#: So many bytes are moved at once: what a pipe holds.
_MOVED_AT_ONCE = 64 << 10
#: A pipe never holds more than this, unless its user has asked for that and may: so much is looked
#: at as what was there, since a program may print without end.
_IN_A_PIPE = 1 << 20
#: The file is emptied when it is larger than this: that costs more than to write a line.
_EMPTIED_AT = 1 << 20


class Capture:
    """What the process writes to standard output, task by task: print() in tasks, what libraries
    write, and what programs write that tasks start."""

    def __init__(self, folder: str, has_run: bool = False) -> None:
        """`folder`: that of the run. `has_run`: a program has, and may have kept `sys.stdout`."""
        self._pipe, self._end_of_writers, self._file = _opened(folder)
        before = sys.stdout
        self._before = before if has_run else None
        # What the program has printed until now belongs to no task.
        _flush(before)
        # What libraries print with `printf`. To flush it may have to wait for a place in the pipe:
        # the thread runs meanwhile.
        library = ctypes.CDLL(None)
        self._c_flush = library.fflush
        self._c_stdout = ctypes.c_void_p.in_dll(library, "stdout")
        self._c_flush(self._c_stdout)
        os.dup2(self._end_of_writers, 1)
        self._pipe_is = os.fstat(1)[1:3]
        self._ready = select.poll()
        self._ready.register(self._pipe, select.POLLIN)
        # Reentrant: the handler of a signal may print. In the middle of what this thread does here,
        # that waits until it is done.
        self._lock = threading.RLock()
        self._is_busy = False
        self._later: List[bytes] = []
        self._begins = mmap.mmap(self._file, _payload.BEGIN.size)
        #: Where in the file the output of this task begins and ends, and what of it did not fit on
        #: the disk.
        self._begin = self._end = 0
        self._rest: List[bytes] = []
        self._restart(_payload.BEGIN.size)
        #: This process is a copy of the worker, made by fork.
        self._is_copy = False
        self._stream = self._printing_here(before)
        os.register_at_fork(after_in_child=self._forget)
        # Signals are for the main thread: they wake it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            _thread.start_new_thread(self._pump, ())
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _printing_here(self, before: Any) -> Any:
        """A `sys.stdout` in the place of this one."""
        if before is None:
            return io.StringIO()
        raw: Any = _Printed(self)
        # Python that runs with -u has no buffer.
        buffer = raw if before.write_through else io.BufferedWriter(raw)
        stream: Any = io.TextIOWrapper(
            buffer,
            before.encoding,
            before.errors,
            line_buffering=before.line_buffering,
            write_through=before.write_through,
        )
        stream.mode = "w"
        for name in ("stdout", "__stdout__"):
            setattr(sys, name, stream)
        return stream

    def _forget(self) -> None:
        self._is_copy = True

    def flush(self) -> None:
        """What is still in buffers of this process goes to the pipe or the file."""
        _flush(self._stream)
        if self._before is not None:
            _flush(self._before)
        now = getattr(sys, "stdout", None)
        if now is not self._stream:
            # A task has put another one into its place.
            _flush(now)
        self._c_flush(self._c_stdout)

    def drain(self, loop: Loop) -> None:
        """Adds what was written since the last time to the output of the task. Raises
        LibraryError."""
        self.flush()
        if not os.get_blocking(self._end_of_writers):
            # A program has set this for all that write to the pipe: they would lose what the pipe
            # cannot take at once.
            os.set_blocking(self._end_of_writers, True)
        with self._lock:
            self._put(b"")
            if self._end > self._begin or self._rest:
                self._is_busy = True
                try:
                    self._hand_over(loop)
                finally:
                    self._is_busy = False

    def _hand_over(self, loop: Loop) -> None:
        """Adds what is in the file to the task's output. With the lock. Raises LibraryError."""
        for at in range(self._begin, self._end, _MOVED_AT_ONCE):
            size = min(_MOVED_AT_ONCE, self._end - at)
            loop.write(_library.STDOUT, os.pread(self._file, size, at))
        loop.write(_library.STDOUT, b"".join(self._rest))
        self._rest = []
        if self._end < _EMPTIED_AT:
            self._restart(self._end)
        else:
            self._restart(_payload.BEGIN.size)
            os.ftruncate(self._file, _payload.BEGIN.size)

    def _restart(self, place: int) -> None:
        """What is before this place in the file does not count any more, and nothing follows."""
        self._begin = self._end = place
        _payload.BEGIN.pack_into(self._begins, 0, place)

    def take(self, data: bytes) -> None:
        """Takes what Python prints."""
        if self._is_copy or not self._is_in_place():
            while data:
                data = data[os.write(1, data) :]
            return
        with self._lock:
            self._put(data)

    def _put(self, data: bytes) -> None:
        """Stores this behind what is in the pipe. With the lock."""
        self._later.append(data)
        if self._is_busy:
            return
        self._is_busy = True
        try:
            self._move()
            while self._later:
                self._store(self._later.pop(0))
        finally:
            self._is_busy = False

    def _is_in_place(self) -> bool:
        """Whether descriptor 1 is what it was: a task may let it be another file for a time."""
        try:
            return os.fstat(1)[1:3] == self._pipe_is
        except OSError:
            return False

    def _pump(self) -> None:
        """The thread."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while True:
            poll.poll()
            with self._lock:
                self._move()

    def _move(self) -> None:
        """Moves what is in the pipe, not all that comes meanwhile. With the lock."""
        moved = 0
        while moved < _IN_A_PIPE and self._ready.poll(0):
            try:
                data = os.read(self._pipe, _MOVED_AT_ONCE)
            except BlockingIOError:
                return  # The executor has been faster, see _printed.py.
            self._store(data)
            moved += len(data)

    def _store(self, data: bytes) -> None:
        """With the lock."""
        while data and not self._rest:
            try:
                count = os.pwrite(self._file, data, self._end)
            except OSError:
                # The disk is full, or files may not be that large.
                break
            self._end += count
            data = data[count:]
        if data:
            self._rest.append(data)


def _flush(stream: Any) -> None:
    """Flushes a stream, if it can be."""
    try:
        stream.flush()
    except BaseException:
        pass  # A task has closed it, or it is no stream.


class _Printed(io.RawIOBase):
    """What stands below the `sys.stdout` of a worker."""

    name = "<stdout>"
    mode = "wb"

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1

    def write(self, data: Any) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        content = bytes(data)
        self._capture.take(content)
        return len(content)


def _opened(folder: str) -> Tuple[int, int, int]:
    """The two ends of the pipe, and the file. They have names, by which the executor finds them."""
    number = os.getpid()
    try:
        _payload.make(folder)
        pipe = os.path.join(folder, f"{_payload.PIPE}{number}")
        os.mkfifo(pipe, 0o600)
        end = _end(pipe)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file = os.open(os.path.join(folder, f"{_payload.OUTPUT}{number}"), flags, 0o600)
        # Written, not only made longer: memory without a place on the disk would be a trap.
        os.pwrite(file, bytes(_payload.BEGIN.size), 0)
    except OSError:
        # The disk is full, or has no pipes.
        reading, writing = os.pipe()
        end = _end(f"/proc/self/fd/{reading}")
        os.close(reading)
        file = os.memfd_create("msup-stdout", os.MFD_CLOEXEC)
        os.pwrite(file, bytes(_payload.BEGIN.size), 0)
        return end, writing, file
    return end, os.open(pipe, os.O_WRONLY | os.O_CLOEXEC), file


def _end(pipe: str) -> int:
    """The end of a pipe that is read. Open for writing, too: what has no writer any more would be
    ready for ever."""
    return os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
