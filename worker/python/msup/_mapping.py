"""`Executor.map`: its calls and the iterator over their results."""

from __future__ import annotations

import itertools
import pickle
import threading
import time
from collections import deque
from concurrent.futures import CancelledError, Future, TimeoutError
from typing import Any, Callable, Deque, Iterator, List, Optional, Tuple

from . import _payload
from ._pickling import Pickler


class Failure:
    """Stands for a result: the exception that the task has ended with."""

    def __init__(self, exception: BaseException) -> None:
        self.exception = exception


class Mapping:
    """The calls of one `map`, without a future for each.

    The thread of the pool takes items and puts results, one other thread waits for results: for one
    at a time, in their order. `results` has a place for each item: None, the bytes of a pickle, or
    a Failure.
    """

    def __init__(
        self, function: Callable[..., Any], items: Deque[Any], is_chunked: bool, pickler: Pickler
    ) -> None:
        """Raises what pickling the function raises."""
        self.results: List[Any] = [None] * len(items)
        self.sent = 0
        self._items = items
        self._pickler = pickler
        self._is_cancelled = False
        name = pickler.by_name(function)
        flags = (_payload.KEPT if name else 0) | (_payload.CHUNK if is_chunked else 0)
        self._head = _payload.head(flags, name or pickler.dumps(function))
        # The place whose result is waited for, and the lock that is released when it is there.
        self._awaited: Optional[int] = None
        self._ready = threading.Lock()
        self._ready.acquire()

    def is_sent(self) -> bool:
        """Whether no item is left."""
        return not self._items

    def next_call(self) -> Tuple[int, bytes]:
        """The place of the next item and its call as bytes. Raises IndexError if none is left. If
        pickling fails, the item has failed, and the bytes are empty."""
        arguments = self._items.popleft()
        place = self.sent
        self.sent = place + 1
        try:
            return place, self._head + self._pickler.dumps(arguments)
        except BaseException as why:
            self.results[place] = Failure(why)
            self.tell()
            return place, b""

    def tell(self) -> None:
        """Wakes the waiting thread if it can go on: after results were put."""
        awaited = self._awaited
        if awaited is None:
            return
        if self.results[awaited] is not None or self._is_over(awaited):
            self._awaited = None
            self._wake()

    def cancel(self) -> None:
        """Items that have not been sent are not sent any more."""
        self._is_cancelled = True
        self._items.clear()
        self._wake()

    def fail_rest(self, why: Callable[[], BaseException]) -> None:
        """All items without a result have failed: no result comes any more."""
        self._items.clear()
        for place, result in enumerate(self.results):
            # A result that was taken is a place without one, but no thread waits for it.
            if result is None:
                self.results[place] = Failure(why())
        self._wake()

    def _is_over(self, place: int) -> bool:
        return self._is_cancelled and place >= self.sent

    def _wake(self) -> None:
        try:
            self._ready.release()
        except RuntimeError:
            pass  # It was released before, and the thread has not seen it yet.

    def wait(self, place: int, end: Optional[float]) -> Any:
        """The result at this place. Waits until the clock of `time.monotonic` shows `end`. Raises
        TimeoutError, or CancelledError."""
        while True:
            self._ready.acquire(blocking=False)
            self._awaited = place
            result = self.results[place]
            if result is not None:
                return result
            if self._is_over(place):
                raise CancelledError()
            left = -1 if end is None else end - time.monotonic()
            if end is not None and left <= 0:
                raise TimeoutError()
            self._ready.acquire(timeout=left)


def results_of(mapping: Mapping, is_chunked: bool, end: Optional[float]) -> Iterator[Any]:
    """The results in the order of the items. No reference to one that was given out is kept."""
    results, wait, loads = mapping.results, mapping.wait, pickle.loads
    try:
        for place in range(len(results)):
            result = results[place]
            if result is None:
                result = wait(place, end)
            results[place] = None
            if type(result) is Failure:
                raise _taken(result)
            if is_chunked:
                chunk = loads(result)
                chunk.reverse()
                while chunk:
                    yield chunk.pop()
            else:
                yield loads(result)
    finally:
        mapping.cancel()


def _taken(failure: Failure) -> BaseException:
    """The exception. The failure lets go of it: its traceback will refer to the caller's frame."""
    exception, failure.exception = failure.exception, CancelledError()
    return exception


def items_of(iterables: Tuple[Any, ...], chunksize: int) -> Iterator[Any]:
    """The tuples of arguments, or lists of at most `chunksize` of them."""
    rows = zip(*iterables)
    if chunksize == 1:
        yield from rows
        return
    while True:
        chunk = list(itertools.islice(rows, chunksize))
        if not chunk:
            return
        yield chunk


def buffered(
    submit: Callable[..., Future[Any]],
    function: Callable[..., Any],
    iterables: Tuple[Any, ...],
    chunksize: int,
    size: int,
    end: Optional[float],
) -> Iterator[Any]:
    """The results in the order of the items, of which at most `size` are submitted at a time."""
    items = items_of(iterables, chunksize)

    def next_future() -> Optional[Future[Any]]:
        for item in items:
            if chunksize > 1:
                return submit(_payload.run_chunk, function, item)
            return submit(function, *item)
        return None

    futures = deque(filter(None, (next_future() for _ in range(size))))
    return _taken_in_order(futures, next_future, chunksize > 1, end)


def _taken_in_order(
    futures: Deque[Future[Any]],
    next_future: Callable[[], Optional[Future[Any]]],
    is_chunked: bool,
    end: Optional[float],
) -> Iterator[Any]:
    try:
        while futures:
            left = None if end is None else end - time.monotonic()
            chunk = [futures[0].result(left)]
            futures.popleft()
            following = next_future()
            if following is not None:
                futures.append(following)
                del following
            if is_chunked:
                chunk = chunk[0]
                chunk.reverse()
            while chunk:
                yield chunk.pop()
    finally:
        for future in futures:
            future.cancel()
