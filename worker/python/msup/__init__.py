"""Run Python functions in worker processes that survive each other's crashes.

    import msup

    with msup.Executor() as pool:
        for result in pool.map(convert, paths):
            print(result)

`Executor` is a `concurrent.futures.Executor`. A worker that dies fails one future, with its cause.
`blocking()` gives the CPU of a task to another task while it waits. `worker` makes a file a task
loop for `msup --worker`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, List

from ._blocking import blocking
from ._worker_file import worker

if TYPE_CHECKING:
    from ._errors import (
        BrokenPool,
        Error,
        OutOfMemory,
        RemoteError,
        RemoteTraceback,
        TaskTimeout,
        WorkerDied,
    )
    from ._executor import Executor

__version__ = "0.1.0"

__all__ = [
    "BrokenPool",
    "Error",
    "Executor",
    "OutOfMemory",
    "RemoteError",
    "RemoteTraceback",
    "TaskTimeout",
    "WorkerDied",
    "blocking",
    "worker",
]

if "MSUP_SEGMENT_FD" in os.environ:
    # This process is a worker. It takes its seat now: later there may be threads, and then it
    # cannot.
    from . import _bad_start, _library

    _bad_start.begin(_library.attach())


def __getattr__(name: str) -> Any:
    """Loads what workers do not need only when it is used: they start faster without it."""
    if name not in __all__:
        raise AttributeError(f"module 'msup' has no attribute {name!r}")
    if name == "Executor":
        from . import _executor as module
    else:
        from . import _errors as module  # type: ignore[no-redef]
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return __all__
