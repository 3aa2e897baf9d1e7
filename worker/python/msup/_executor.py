"""`msup.Executor`."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from concurrent.futures import Executor as _Base
from concurrent.futures import Future
from typing import Any, Callable, Iterable, Iterator, Optional, Tuple, TypeVar

from . import _pools
from ._errors import BrokenPool
from ._launch import Settings
from ._mapping import buffered, items_of, results_of
from ._outcomes import TaskFuture
from ._pool import Pool

T = TypeVar("T")


class Executor(_Base):
    """Runs calls in worker processes. A worker that dies fails one future, and the others go on.

    procs: how many tasks compute at once; the number of CPUs by default.
    max_workers: how many workers there are at most, and so how many tasks that wait in `blocking()`
        sections; 100 for each of `procs` by default.
    retries: how often a task is run again if its worker has died. Exceptions are results.
    task_timeout: a task that takes longer, in seconds, fails with `TaskTimeout`.
    initializer: called with `initargs` in each worker before its first task. If it raises, the
        executor is broken: all futures fail with `BrokenPool`.
    max_tasks_per_child: a worker exits after this number of tasks, and another one is started.
    start_timeout: workers that take longer to start, in seconds, are killed; after three in a row
        the executor is broken.

    Workers start when there is work. Raises TypeError or ValueError for wrong arguments.
    """

    def __init__(
        self,
        procs: Optional[int] = None,
        max_workers: Optional[int] = None,
        *,
        retries: int = 0,
        task_timeout: Optional[float] = None,
        initializer: Optional[Callable[..., Any]] = None,
        initargs: Tuple[Any, ...] = (),
        max_tasks_per_child: Optional[int] = None,
        start_timeout: Optional[float] = None,
    ) -> None:
        _check_number("procs", procs, 1)
        _check_number("max_workers", max_workers, 1)
        _check_number("retries", retries, 0)
        _check_number("max_tasks_per_child", max_tasks_per_child, 1)
        _check_time("task_timeout", task_timeout)
        _check_time("start_timeout", start_timeout)
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_workers is not None:
            cpus = len(os.sched_getaffinity(0))
            if procs is not None and procs > max_workers:
                raise ValueError(f"procs ({procs}) must not be more than max_workers")
            if procs is None and cpus > max_workers:
                procs = max_workers
        self._settings = Settings(
            procs,
            max_workers,
            retries,
            task_timeout,
            start_timeout,
            initializer,
            tuple(initargs),
            max_tasks_per_child,
        )
        self._pool: Optional[Pool] = None
        self._process = os.getpid()
        # Reentrant: the handler of a signal may shut it down while it starts.
        self._lock = threading.RLock()
        self._is_shut_down = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Schedules `fn(*args, **kwargs)`. Returns its future.

        A future is running as soon as it has been sent to msup; before that it can be cancelled.
        Raises BrokenPool, or RuntimeError after `shutdown`.
        """
        future: Future[T] = TaskFuture()
        (self._pool or self._started()).add((future, fn, args, kwargs))
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: Optional[float] = None,
        chunksize: int = 1,
        buffersize: Optional[int] = None,
    ) -> Iterator[T]:
        """Calls `fn` with the items of the iterables. Returns an iterator over the results in the
        order of the items.

        timeout: seconds from now until which results are waited for; then TimeoutError.
        chunksize: that many calls are one task: cheaper, but a dead worker fails all of them.
        buffersize: at most so many tasks are scheduled whose results have not been taken, and no
            more is taken from the iterables; None: all are scheduled at once.

        Raises what pickling `fn` raises, BrokenPool, or RuntimeError after `shutdown`. The iterator
        raises the exception of a call, and then sends no more of them.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        end = None if timeout is None else timeout + time.monotonic()
        if buffersize is not None:
            _check_number("buffersize", buffersize, 1)
            return buffered(self.submit, fn, iterables, chunksize, buffersize, end)
        pool = self._pool or self._started()
        items = deque(items_of(iterables, chunksize))
        mapping = pool.mapping(fn, items, chunksize > 1)
        pool.add(mapping)
        return results_of(mapping, chunksize > 1, end)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more work. What is there is done, unless `cancel_futures` cancels what has not
        been sent. Waits for it if `wait` is true; Ctrl-C then stops everything."""
        if self._process != os.getpid():
            # In a child of fork the executor belongs to the parent.
            return
        with self._lock:
            self._is_shut_down = True
            pool = self._pool
        if pool is None:
            return
        if cancel_futures:
            pool.cancel_waiting()
        pool.close()
        if wait and pool is not threading.current_thread():
            _pools.join(pool)

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        """Shuts down and waits. After Ctrl-C it does not wait for tasks: they are killed."""
        if exc_type is not None and issubclass(exc_type, KeyboardInterrupt):
            pool = self._pool
            if pool is not None and self._process == os.getpid():
                pool.stop("Ctrl-C has stopped the executor")
        self.shutdown(wait=True)

    def _started(self) -> Pool:
        """The pool; it is started if it is not yet. Raises what its start raises."""
        if self._process != os.getpid():
            raise RuntimeError(
                f"this executor belongs to process {self._process}, which has forked this one: "
                "make another one here"
            )
        with self._lock:
            if self._is_shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if _pools.is_exiting:
                raise RuntimeError("cannot schedule new futures after interpreter shutdown")
            if self._pool is None:
                self._start()
            if self._is_shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
        assert self._pool is not None
        # Ctrl-C may end this wait, but not the start: that is the part of another thread.
        self._pool.ready.wait()
        return self._pool

    def _start(self) -> None:
        """Starts the pool. Raises BrokenPool, or what pickling the initializer raises."""
        try:
            pool = Pool(self._settings)
        except OSError as why:
            raise BrokenPool(f"msup cannot be started: {why}") from why
        # Nothing runs yet. Whatever comes from here on, the end of the program stops the pool.
        _pools.pools.add(pool)
        try:
            pool.start()
            # If this executor is collected, what is there is done all the same.
            weakref.finalize(self, pool.close).atexit = False
            self._pool = pool
            if self._is_shut_down:
                # `shutdown` has not seen this one.
                pool.close()
        except BaseException as why:
            self._pool = None
            pool.stop("the start of the executor was interrupted")
            if isinstance(why, RuntimeError):
                raise BrokenPool(f"msup cannot be started: {why}") from why
            raise

    @property
    def _broken(self) -> Optional[str]:
        """Why no work is taken any more, as in `ProcessPoolExecutor`."""
        return None if self._pool is None else self._pool.broken


def _check_number(name: str, number: Any, least: int) -> None:
    if number is None and name != "retries":
        return
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{name} must be an integer, not {number!r}")
    if number < least:
        bound = "must be greater than 0" if least == 1 else "must not be negative"
        raise ValueError(f"{name} {bound}")


def _check_time(name: str, seconds: Any) -> None:
    if seconds is None:
        return
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        raise TypeError(f"{name} must be a number of seconds, not {seconds!r}")
    if not 0 < seconds < 1e9:
        raise ValueError(f"{name} must be greater than 0")
