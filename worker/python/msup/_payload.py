"""What executor and workers send each other: calls, results and exceptions as bytes.

A call is a head of 5 bytes, flags and the length n of what follows; n bytes, a pickle of the
function; and a pickle of its arguments:

    u8 flags | u32 n | pickle of the function | pickle of the arguments

A result is a pickle, or begins with one of the letters below. What is larger than `INLINE` bytes is
a file in the run's folder, and its name is sent instead.
"""

from __future__ import annotations

import os
import pickle
import struct
from io import FileIO
from typing import Any, Callable, List, Optional, Tuple

from ._pickling import PROTOCOL, Pickler

#: The file in the run's folder that tells workers how to prepare themselves.
START = "client-start"
#: The files there with what a worker prints, see `_capture.py`; the number of its process follows.
PIPE, OUTPUT = "client-pipe-", "client-output-"
#: The second one begins with the place from where on msup has not been told.
BEGIN = struct.Struct("<Q")
#: More bytes than this go into a file.
INLINE = 1 << 20
#: A result of more bytes is not copied: it is mapped into memory. Each takes a descriptor until it
#: is unpickled, and a map may have thousands of results that wait.
MAPPED_FROM = 64 << 20

#: Flags of a call. The function may be kept: its pickle is the name of it.
KEPT = 1
#: The arguments are a pair, positional ones and keywords.
KEYWORDS = 2
#: There are many tuples of arguments, and a list of results.
CHUNK = 4
#: One pickle has the function, the arguments and the keywords; n is 0.
WHOLE = 8
#: The name of a file follows the flags.
FILE = 128

#: First letters of results: the name of a file, an exception of the task, one of the start.
IN_FILE, RAISED, NOT_STARTED = b"F", b"E", b"B"

HEAD = struct.Struct("<BI")

Call = Tuple[Callable[..., Any], Tuple[Any, ...], Any]


def head(flags: int, function: bytes) -> bytes:
    """The beginning of a call: all but its arguments."""
    return HEAD.pack(flags, len(function)) + function


class Decoder:
    """Reads calls, in a worker."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        #: The head of the last call with positional arguments alone whose function may be kept, and
        #: that function.
        self.kept_head = b"\xff"
        self.kept: Callable[..., Any] = len

    def read(self, value: bytes) -> Call:
        """The function, its arguments and keywords. Raises what unpickling raises."""
        data: Any = value
        if value[0] == FILE:
            data = self._file(value[1:].decode())
        flags, length = HEAD.unpack_from(data)
        at = HEAD.size + length
        rest = pickle.loads(memoryview(data)[at:])
        if flags & WHOLE:
            return rest  # type: ignore[no-any-return]
        function = pickle.loads(data[HEAD.size : at])
        if flags == KEPT:
            self.kept, self.kept_head = function, bytes(data[:at])
        if flags & CHUNK:
            return run_chunk, (function, rest), {}
        if flags & KEYWORDS:
            return function, rest[0], rest[1]
        return function, rest, {}

    def _file(self, name: str) -> bytes:
        try:
            with open(os.path.join(self._folder, name), "rb") as file:
                return file.read()
        except FileNotFoundError as why:
            raise FileNotFoundError(f"the arguments of the task are lost: {why}") from None


def run_chunk(function: Callable[..., Any], chunk: List[Tuple[Any, ...]]) -> List[Any]:
    """The results of a function for many tuples of arguments."""
    return [function(*arguments) for arguments in chunk]


def raised(letter: bytes, why: BaseException, pickler: Pickler) -> bytes:
    """An exception as the result of a task: its last line, its traceback, and its pickle if it has
    one. Whatever the methods of the exception raise, this raises nothing."""
    import traceback

    summary = summary_of(why)
    try:
        trace = why.__traceback__
        if trace is not None and trace.tb_next is not None:
            # The first frame is that of the worker.
            trace = trace.tb_next
        text = "".join(traceback.format_exception(type(why), why, trace))
    except BaseException as broken:
        text = f"{summary}\n(its traceback cannot be shown: {type(broken).__name__})\n"
    # The traceback holds all that the task has held. Set past the methods of its class.
    BaseException.with_traceback(why, None)
    try:
        exception: Optional[bytes] = pickler.dumps(why)
    except BaseException:
        exception = None
    return letter + pickle.dumps((summary, text, exception), PROTOCOL)


def summary_of(why: BaseException) -> str:
    """`Type: message`, as the last line of a traceback. Raises nothing, whatever the methods of the
    exception raise."""
    kind = type(why)
    name = str.__str__(kind.__qualname__)
    try:
        text = str.__str__(str(why))
        module = f"{kind.__module__}"
    except BaseException:
        text, module = "", "builtins"
    name = name if module in ("builtins", "__main__", "__mp_main__") else f"{module}.{name}"
    return f"{name}: {text}" if text else name


def store(folder: str, name: str, data: bytes) -> bytes:
    """Writes data into a file of the run's folder, which is made again if it was removed. Returns
    the name. Raises OSError."""
    path = os.path.join(folder, name)
    try:
        with _created(folder, path) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
    except OSError:
        if os.path.exists(path):
            os.unlink(path)
        raise
    return name.encode()


def _created(folder: str, path: str) -> FileIO:
    """A new file in the run's folder. Raises OSError."""
    try:
        return FileIO(path, "xb")
    except FileNotFoundError:
        make(folder)
        return FileIO(path, "xb")


def make(folder: str) -> None:
    """Makes the run's folder again if it was removed. Raises OSError, also if another user has
    made it."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.stat(folder).st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to another user")


def take(folder: str, name: bytes) -> Any:
    """The bytes of a result in a file; many bytes are mapped into memory. The file is removed.
    Raises OSError."""
    path = os.path.join(folder, name.decode())
    data: Any
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > MAPPED_FROM:
            import mmap

            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        else:
            data = file.read()
    os.unlink(path)
    return data
