"""What an outcome of msup means for a future. Whatever raises, the future is completed."""

from __future__ import annotations

import pickle
import threading
import traceback
from concurrent.futures import Future
from concurrent.futures._base import LOGGER
from typing import Any, Callable, List, Optional, Tuple

from . import _errors, _frames, _payload
from ._frames import Details
from ._mapping import Failure

#: The causes of tasks whose workers have not reported an outcome.
LOST = (_frames.LOST_WORKER, _frames.OUT_OF_MEMORY, _frames.TIMED_OUT)


class BadStart(Exception):
    """A worker has reported that it cannot start: the reason is the cause of this."""


class TaskFuture(Future[Any]):
    """The future of a call. A callback may raise anything: the others are called all the same."""

    def _invoke_callbacks(self) -> None:
        callbacks: List[Callable[[Any], Any]] = self.__dict__["_done_callbacks"]
        for callback in callbacks:
            try:
                callback(self)
            except BaseException as why:
                is_main = threading.current_thread() is threading.main_thread()
                if is_main and not isinstance(why, Exception):
                    # Ctrl-C, for one: `cancel` calls these in the thread of its caller.
                    raise
                log("exception calling callback for %r", self)


def log(text: str, *arguments: Any) -> None:
    """Logs the exception that is being handled. What logging raises is lost."""
    try:
        LOGGER.exception(text, *arguments)
    except BaseException:
        pass


def reported(bad_start: BadStart) -> Tuple[str, Optional[BaseException]]:
    """Why a worker cannot start, and the exception behind that. Programs that log are told, too.
    Without a handler, the log would only say once more what the exceptions of the futures say."""
    why = bad_start.__cause__
    assert why is not None
    text = f"a worker cannot start: {_payload.summary_of(why)}"
    try:
        if LOGGER.hasHandlers():
            LOGGER.critical("%s%s", text, why.__cause__)
    except BaseException:
        pass
    return text, why


def is_wanted(future: Future[Any]) -> bool:
    """Whether a call is to be sent: from now on it cannot be cancelled."""
    try:
        return future.set_running_or_notify_cancel()
    except BaseException:
        # The program has completed it by itself.
        return False


def complete(future: Future[Any], ending: Any) -> None:
    """Completes a future with the bytes of a result, or a Failure. Raises nothing."""
    try:
        if type(ending) is not Failure:
            try:
                result = pickle.loads(ending)
            except BaseException as why:
                ending = Failure(why)
            else:
                ending = None
                future.set_result(result)
                return
        future.set_exception(ending.exception)
    except BaseException:
        log("%r cannot be completed", future)


def read(
    result: bytes, details: Optional[Details], folder: str, task_timeout: Optional[float]
) -> Any:
    """The bytes of a result, or a Failure. Raises BadStart and nothing else."""
    succeeded = details is None or details.state == _frames.SUCCEEDED
    try:
        content: Any = result
        if result[:1] == _payload.IN_FILE:
            content = _payload.take(folder, result[1:])
        if succeeded:
            return content
        letter = content[:1]
        if letter in (_payload.RAISED, _payload.NOT_STARTED):
            exception = _raised(bytes(content[1:]), letter == _payload.NOT_STARTED)
            if letter == _payload.RAISED:
                return Failure(exception)
            raise BadStart() from exception
    except BadStart:
        raise
    except BaseException as why:
        return Failure(_errors.Error(f"the result of the task is lost: {_reason(why)}"))
    assert details is not None
    return Failure(_exception(details, task_timeout))


def _reason(why: BaseException) -> str:
    return str(why) if isinstance(why, OSError) else _payload.summary_of(why)


def _raised(content: bytes, is_cause: bool) -> BaseException:
    """The exception that a worker has sent, with the traceback there as its cause. `is_cause`: it
    is the cause of another one, whose message says the same."""
    summary, text, pickled = pickle.loads(content)
    exception: BaseException
    try:
        if pickled is None:
            raise ValueError("it cannot be pickled")
        exception = pickle.loads(pickled)
        if not issubclass(type(exception), BaseException):
            raise TypeError("its pickle is of something else")
        if is_cause:
            text = _without_end(text, exception)
    except BaseException as why:
        exception = _errors.RemoteError(f"{summary} (not passed on: {_payload.summary_of(why)})")
    cause = _errors.RemoteTraceback(f'\n"""\n{text}"""')
    # Past the methods of its class, which may refuse attributes.
    BaseException.__dict__["__cause__"].__set__(exception, cause)
    return exception


def _without_end(text: str, exception: BaseException) -> str:
    """A traceback without the lines about the exception itself: they follow it anyway."""
    last = "".join(traceback.format_exception_only(type(exception), exception))
    return text[: -len(last)] if text.endswith(last) else text


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
