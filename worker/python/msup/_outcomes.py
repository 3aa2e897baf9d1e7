"""What an outcome of msup means for a future."""

from __future__ import annotations

import pickle
from concurrent.futures import Future
from concurrent.futures._base import LOGGER
from typing import Any, Optional

from . import _errors, _frames, _payload
from ._frames import Details
from ._mapping import Failure


class BadStart(Exception):
    """A worker has reported that it cannot start: the reason is the cause of this."""


def complete(future: Future[Any], ending: Any) -> None:
    """Completes a future with the bytes of a result, or a Failure. Callbacks may raise anything."""
    try:
        if type(ending) is Failure:
            future.set_exception(ending.exception)
            return
        try:
            result = pickle.loads(ending)
        except BaseException as why:
            future.set_exception(why)
            return
        ending = None
        future.set_result(result)
    except BaseException:
        LOGGER.exception("exception in a callback of %r", future)


def read(
    result: bytes, details: Optional[Details], folder: str, task_timeout: Optional[float]
) -> Any:
    """The bytes of a result, or a Failure. Raises BadStart."""
    succeeded = details is None or details.state == _frames.SUCCEEDED
    try:
        content: Any = result
        if result[:1] == _payload.IN_FILE:
            content = _payload.take(folder, result[1:])
        if succeeded:
            return content
        letter = content[:1]
        if letter in (_payload.RAISED, _payload.NOT_STARTED):
            exception = _raised(bytes(content[1:]))
            if letter == _payload.RAISED:
                return Failure(exception)
            LOGGER.critical("a worker cannot start:%s", exception.__cause__)
            raise BadStart() from exception
    except OSError as why:
        return Failure(_errors.Error(f"the result of the task is lost: {why}"))
    assert details is not None
    return Failure(_exception(details, task_timeout))


def _raised(content: bytes) -> BaseException:
    """The exception that a worker has sent, with the traceback there as its cause."""
    summary, text, pickled = pickle.loads(content)
    exception: BaseException
    try:
        if pickled is None:
            raise ValueError("it cannot be pickled")
        exception = pickle.loads(pickled)
        if not isinstance(exception, BaseException):
            raise TypeError("its pickle is of something else")
    except BaseException as why:
        exception = _errors.RemoteError(f"{summary} (not passed on: {_payload.summary_of(why)})")
    exception.__cause__ = _errors.RemoteTraceback(f'\n"""\n{text}"""')
    return exception


def _exception(details: Details, task_timeout: Optional[float]) -> BaseException:
    """The exception for a task that did not report one itself. `task_timeout`: in seconds."""
    attempts = details.attempts
    if details.cause == _frames.LOST_WORKER:
        return _errors.died(details.signal, details.exit_status, attempts)
    if details.cause == _frames.OUT_OF_MEMORY:
        return _errors.out_of_memory(attempts)
    if details.cause == _frames.TIMED_OUT:
        return _errors.TaskTimeout(f"the task took longer than {task_timeout} s")
    if details.cause == _frames.ERROR:
        return _errors.RemoteError(details.text)
    return _errors.Error(details.text or f"msup reports cause {details.cause}")
