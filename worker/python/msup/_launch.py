"""Starting `msup serve`, and what it needs to start workers."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from . import _payload, _programs
from ._pickling import PROTOCOL, Pickler

#: What a worker runs: the package may be in a place that only the parent's `sys.path` has.
_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from msup._worker import main; main()"

#: Held while connections are made that a child of fork would have to close: see `_pools.py`.
no_forks = threading.RLock()

#: An idle worker exits after this, in seconds: it may have imported much.
_IDLE_TIMEOUT = 60


class Settings(NamedTuple):
    """What an executor was made with. Times are in seconds; None is msup's default."""

    procs: Optional[int]
    max_workers: Optional[int]
    retries: int
    task_timeout: Optional[float]
    start_timeout: Optional[float]
    initializer: Optional[Callable[..., Any]]
    initargs: Tuple[Any, ...]
    max_tasks_per_child: Optional[int]


class Server(NamedTuple):
    """A running `msup serve`: its process, the connection to it, and its standard error."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    stderr: int


def arguments(settings: Settings) -> List[str]:
    """The command line of `msup serve`."""
    words = ["serve", "--quiet", "--literal", "--idle-timeout", str(_IDLE_TIMEOUT)]
    if settings.procs is not None:
        words += ["--procs", str(settings.procs)]
    if settings.max_workers is not None:
        words += ["--max-workers", str(settings.max_workers)]
    # An exception fails its task; a dead worker fails it after this number of attempts.
    attempts = str(settings.retries + 1)
    words += ["--retries", "1", "--crash-limit", attempts, "--outside-limit", attempts]
    if settings.task_timeout is not None:
        words += ["--timeout", _time(settings.task_timeout)]
    if settings.start_timeout is not None:
        words += ["--start-timeout", _time(settings.start_timeout)]
    import multiprocessing.spawn

    python = os.fsdecode(multiprocessing.spawn.get_executable())
    flags: List[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return [*words, "--worker", python, "--", *flags, "-c", _CODE, package]


def _time(seconds: float) -> str:
    """A time as msup reads it: whole milliseconds, at least one."""
    return f"{max(1, round(seconds * 1000))}ms"


def start(settings: Settings) -> Server:
    """Starts msup, in a session of its own: Ctrl-C in a terminal reaches this process alone. With
    `no_forks`. Raises OSError."""
    words = [_programs.find("msup"), *arguments(settings)]
    # Neither end is inherited by programs that other threads start meanwhile.
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            words,
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    assert process.stderr is not None
    ours.setblocking(False)
    os.set_blocking(process.stderr.fileno(), False)
    return Server(process, ours, process.stderr.fileno())


def preparation(settings: Settings, pickler: Pickler) -> bytes:
    """The file for the workers, as bytes. Raises what pickling the initializer raises, and
    RuntimeError in the import of `__main__` by a worker."""
    initializer = None
    if settings.initializer is not None:
        initializer = pickler.dumps((settings.initializer, settings.initargs))
    content = {
        "preparation": _main_module(),
        "initializer": initializer,
        "tasks_at_most": settings.max_tasks_per_child,
    }
    return pickle.dumps(content, PROTOCOL)


def _main_module() -> Dict[str, Any]:
    """What `multiprocessing` tells processes that it spawns: the paths and `__main__`."""
    import multiprocessing
    import multiprocessing.spawn

    method = multiprocessing.get_start_method(allow_none=True)
    data: Dict[str, Any] = multiprocessing.spawn.get_preparation_data("msup worker")
    if method is None:
        # That has chosen the default method; the program may still choose another one.
        multiprocessing.set_start_method(None, force=True)
        data.pop("start_method", None)
    # It refuses to be pickled as it is. The run's folder is readable for this user alone.
    data["authkey"] = bytes(data["authkey"])
    return data


def write_preparation(folder: str, content: bytes) -> None:
    """Puts the file into the run's folder, whole at once. Raises OSError."""
    new = _payload.START + ".new"
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, new))
    _payload.store(folder, new, content)
    os.rename(os.path.join(folder, new), os.path.join(folder, _payload.START))


def main_is_found() -> bool:
    """Whether workers can import what `__main__` defines."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    return spec is not None or getattr(main, "__file__", None) is not None
