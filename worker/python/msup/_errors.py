"""The exceptions of futures whose tasks did not end by themselves."""

from __future__ import annotations

import signal as signals
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Optional, Tuple


class Error(RuntimeError):
    """Any error of msup itself, as opposed to exceptions that tasks raise."""


class WorkerDied(Error):
    """The worker exited or was killed while it ran this task. Other tasks are not affected.

    `signal` is the number of the signal that killed it, or None. `exit_status` is the status with
    which it exited, or None. `attempts` is how often the task was started.
    """

    def __init__(
        self,
        message: str,
        signal: Optional[int] = None,
        exit_status: Optional[int] = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(message)
        self.signal = signal
        self.exit_status = exit_status
        self.attempts = attempts

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (str(self), self.signal, self.exit_status, self.attempts)


class OutOfMemory(WorkerDied):
    """The kernel killed the worker for lack of memory while it ran this task."""


class TaskTimeout(Error):
    """The task took longer than `task_timeout`, and its worker was killed."""


class RemoteError(Error):
    """The task raised an exception that cannot be passed on. The text is its last line."""


class BrokenPool(Error, BrokenProcessPool):
    """The executor cannot run tasks any more: its workers cannot start, or msup has stopped."""


class RemoteTraceback(Exception):
    """The traceback of an exception in a worker, as text: the `__cause__` of that exception."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


def died(signal: int, exit_status: int, attempts: int) -> WorkerDied:
    """The error for a worker that was killed by `signal`, or exited if that is 0."""
    times = f" (attempt {attempts})" if attempts > 1 else ""
    if signal:
        message = f"the worker was killed by signal {named(signal)} while it ran the task{times}"
        return WorkerDied(message, signal=signal, attempts=attempts)
    message = f"the worker exited with status {exit_status} while it ran the task{times}"
    return WorkerDied(message, exit_status=exit_status, attempts=attempts)


def out_of_memory(attempts: int) -> OutOfMemory:
    """The error for a worker that the kernel killed for lack of memory."""
    times = f" (attempt {attempts})" if attempts > 1 else ""
    message = f"the kernel killed the worker for lack of memory while it ran the task{times}"
    return OutOfMemory(message, signal=int(signals.SIGKILL), attempts=attempts)


def named(signal: int) -> str:
    """A signal's number and its name, if it has one."""
    try:
        return f"{signal} ({signals.Signals(signal).name})"
    except ValueError:
        return str(signal)
