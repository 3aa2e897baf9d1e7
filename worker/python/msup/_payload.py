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
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Callable, List, Optional, Tuple

#: The file in the run's folder that tells workers how to prepare themselves.
START = "client-start"
#: More bytes than this go into a file.
INLINE = 1 << 20
PROTOCOL = 5

#: Flags of a call. The function may be kept: it has no state of its own.
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

#: What pickle raises for lambdas and the like.
UNPICKLABLE = (pickle.PicklingError, AttributeError, TypeError)

Call = Tuple[Callable[..., Any], Tuple[Any, ...], Any]


class Pickler:
    """Pickles, with cloudpickle where pickle cannot. `main_is_found`: workers can import what is
    defined in `__main__`; else that has to be sent, too, which needs cloudpickle."""

    def __init__(self, main_is_found: bool = True) -> None:
        self._main_is_found = main_is_found

    def dumps(self, value: Any) -> bytes:
        """The pickle of a value. Raises what pickling raises."""
        try:
            data = pickle.dumps(value, PROTOCOL)
        except UNPICKLABLE:
            cloudpickle = _cloudpickle()
            if cloudpickle is None:
                raise
            return bytes(cloudpickle.dumps(value, PROTOCOL))
        if self._main_is_found or b"__main__" not in data:
            return data
        cloudpickle = _cloudpickle()
        if cloudpickle is None:
            raise pickle.PicklingError(
                "workers cannot import what is defined in an interactive session: install "
                "cloudpickle, or move it into a module"
            )
        return bytes(cloudpickle.dumps(value, PROTOCOL))


def _cloudpickle() -> Any:
    """The module, or None if it is not installed."""
    try:
        import cloudpickle  # type: ignore[import-untyped]
    except ImportError:
        return None
    return cloudpickle


def has_no_state(function: Any) -> bool:
    """Whether copies of a function behave alike, so that a worker may keep one for later calls."""
    if isinstance(function, FunctionType):
        return function.__closure__ is None
    if isinstance(function, BuiltinFunctionType):
        return function.__self__ is None or isinstance(function.__self__, ModuleType)
    return isinstance(function, type)


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
            with open(os.path.join(self._folder, value[1:].decode()), "rb") as file:
                data = file.read()
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


def run_chunk(function: Callable[..., Any], chunk: List[Tuple[Any, ...]]) -> List[Any]:
    """The results of a function for many tuples of arguments."""
    return [function(*arguments) for arguments in chunk]


def raised(letter: bytes, why: BaseException, pickler: Pickler) -> bytes:
    """An exception as the result of a task: its last line, its traceback, and its pickle if it has
    one. Never raises an Exception."""
    import traceback

    summary = summary_of(why)
    try:
        text = "".join(traceback.format_exception(type(why), why, why.__traceback__))
    except Exception as broken:
        text = f"{summary}\n(its traceback cannot be shown: {type(broken).__name__})\n"
    # The traceback holds all that the task has held.
    why.__traceback__ = None
    try:
        exception: Optional[bytes] = pickler.dumps(why)
    except BaseException:
        exception = None
    return letter + pickle.dumps((summary, text, exception), PROTOCOL)


def summary_of(why: BaseException) -> str:
    """`Type: message`, as the last line of a traceback."""
    try:
        text = str(why)
    except Exception:
        text = ""
    name = type(why).__qualname__
    module = type(why).__module__
    name = name if module in ("builtins", "__main__", "__mp_main__") else f"{module}.{name}"
    return f"{name}: {text}" if text else name


def store(folder: str, name: str, data: bytes) -> bytes:
    """Writes data into a file of the run's folder. Returns the name. Raises OSError."""
    path = os.path.join(folder, name)
    try:
        with open(path, "xb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
    except OSError:
        if os.path.exists(path):
            os.unlink(path)
        raise
    return name.encode()


def take(folder: str, name: bytes) -> Any:
    """The bytes of a result in a file, mapped into memory. The file is removed. Raises OSError."""
    import mmap

    path = os.path.join(folder, name.decode())
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    os.unlink(path)
    return data

