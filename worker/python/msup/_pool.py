"""The thread that speaks with `msup serve`: sends calls, receives outcomes, completes futures.

Any thread adds work; the thread of the pool does everything else. It sends a window of calls ahead:
as many as there may be workers, and one more, as `concurrent.futures` does; while tasks are short,
as many more as they need to keep the workers busy.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import Any, Callable, Deque, Dict, List, Optional, Set, Tuple, Union

from . import _frames, _launch, _outcomes, _payload
from ._bell import Bell
from ._encoder import Encoder
from ._errors import BrokenPool
from ._frames import TASK_HEAD
from ._launch import Settings
from ._link import Link, LinkError
from ._mapping import Failure, Mapping
from ._stderr import show_bytes
from ._window import Window

#: A call that waits: its future, the function, positional arguments, keywords.
Submitted = Tuple["Future[Any]", Callable[..., Any], Tuple[Any, ...], Dict[str, Any]]
#: The owner of a call that was sent: its future, or a map and the place in it.
Owner = Union["Future[Any]", Tuple[Mapping, int]]

#: How often the thread looks after workers while tasks run, in milliseconds.
_LOOKS_EVERY = 1000
#: So many bytes are sent at once.
_SENT_AT_ONCE = 256 << 10


class Pool(threading.Thread):
    """The thread of one executor. `settings`: what that was made with."""

    def __init__(self, settings: Settings) -> None:
        """Starts nothing: that is the part of the thread, which Ctrl-C does not reach. Raises
        OSError, or what pickling the initializer raises."""
        super().__init__(name="msup")
        self._settings = settings
        self._encoder = Encoder(_launch.main_is_found())
        self._preparation = _launch.preparation(settings, self._encoder.pickler)
        #: msup has been started, or cannot be.
        self.ready = threading.Event()
        # Reentrant: that an executor is collected may be noticed in the middle of anything.
        self._lock = threading.RLock()
        self._waiting: Deque[Union[Submitted, Mapping]] = deque()
        self._mapping: Optional[Mapping] = None
        self._running: Dict[int, Owner] = {}
        self._files: Dict[int, str] = {}
        self._sent = 0
        self._window = Window()
        self._is_asleep = False
        self._is_closing = False
        self._cancels = False
        self._stopped_by: Optional[str] = None
        #: Why no work is taken any more, and the exception behind that.
        self.broken: Optional[str] = None
        self._broken_by: Optional[BaseException] = None
        self._bell = Bell()
        #: None until msup has been started.
        self._link: Optional[Link] = None

    # What any thread may call.

    def add(self, work: Union[Submitted, Mapping]) -> None:
        """Adds work. Raises BrokenPool, or RuntimeError after `close`."""
        with self._lock:
            if self.broken is not None:
                raise self._broken_error()
            if self._is_closing:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._waiting.append(work)
            if self._is_asleep:
                self._wake()

    def mapping(
        self, function: Callable[..., Any], items: Deque[Any], is_chunked: bool
    ) -> Mapping:
        """The calls of a map, to be added. Raises what pickling the function raises."""
        return Mapping(function, items, is_chunked, self._encoder.pickler)

    def close(self) -> None:
        """No work comes any more: the thread ends when what is there is done."""
        self._is_closing = True
        self._bell.ring()

    def cancel_waiting(self) -> None:
        """Cancels what has not been sent when that what can be sent has been."""
        self._cancels = True
        self._bell.ring()

    def _cancel(self) -> None:
        """Cancels what has not been sent."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        for work in waiting:
            if isinstance(work, Mapping):
                work.cancel()
            elif work[0].cancel():
                _outcomes.is_wanted(work[0])
        mapping = self._mapping
        if mapping is not None:
            mapping.cancel()

    def stop(self, why: str) -> None:
        """Ends everything now: what runs is killed. The thread then cancels what waits: Ctrl-C, in
        the main thread, cannot keep it from that."""
        self._stopped_by = why
        self._is_closing = True
        # At once, whatever the thread is doing. While it starts msup, it sees this afterwards.
        if self._link is not None:
            self._link.stop()
        self._bell.ring()

    def kill(self) -> None:
        """Kills msup, and so its workers, after `stop`."""
        if self._link is not None:
            self._link.kill()

    def forget(self) -> None:
        """In a child of fork: takes no more work, and closes the copies of the connection.
        Otherwise msup would not notice the end of the parent while this child lives."""
        self.broken = "the executor belongs to the process that has forked this one"
        # Another thread may have held it when this process was forked.
        self._lock = threading.RLock()
        if self._link is not None:
            self._link.forget()
        self._bell.close()

    def _wake(self) -> None:
        """Wakes the thread, once for all that is added until it has looked."""
        try:
            # In this order: as soon as the bell rings, the thread may be on its way to sleep again.
            self._is_asleep = False
            self._bell.ring()
        except BaseException:
            # Ctrl-C came in between: whatever is added next wakes it.
            self._is_asleep = True
            raise

    def _broken_error(self) -> BrokenPool:
        error = BrokenPool(self.broken)
        error.__cause__ = self._broken_by
        return error

    def run(self) -> None:
        """Works until everything is done."""
        last_words = ""
        try:
            link = self._start_msup()
            self.ready.set()
            if link is not None:
                self._work(link)
        except _outcomes.BadStart as why:
            self._break(*_outcomes.reported(why))
        except (_frames.ProtocolError, LinkError) as why:
            self._break(str(why), why.__cause__)
        except BaseException as why:
            self._break(f"the executor has failed: {_payload.summary_of(why)}", why)
        if self._stopped_by is not None:
            self._cancel()
        try:
            if self._link is not None:
                last_words = self._link.end()
        except BaseException as why:
            last_words = _payload.summary_of(why)
        if self._has_work() or self._link is None or not self._link.has_ended_input:
            self._break(self._stopped_by or f"msup has stopped: {last_words}", None)
        self.ready.set()
        self._bell.close()

    def _start_msup(self) -> Optional[Link]:
        """Starts msup; not if the pool was stopped before. Breaks the pool if it cannot."""
        with _launch.no_forks:
            if self._stopped_by is None:
                try:
                    self._link = Link(self._settings, self._preparation)
                except OSError as why:
                    self._break(f"msup cannot be started: {why}", why)
                self._preparation = b""
        # The order matters: `stop` says why before it looks whether there is anything to stop.
        if self._link is not None and self._stopped_by is not None:
            self._link.stop()
        return self._link

    def _work(self, link: Link) -> None:
        bell, stderr = self._bell.descriptor, link.stderr
        poll = select.poll()
        for readable in (link.connection, bell, stderr):
            poll.register(readable, select.POLLIN)
        writes, next_look = False, 0.0
        while True:
            self._fill(link)
            if self._cancels and self._window.size:
                self._cancel()
            if self._is_closing and not link.is_sending and not self._has_work():
                link.end_input()
            if writes != link.is_sending:
                writes = link.is_sending
                poll.modify(link.connection, select.POLLIN | (select.POLLOUT if writes else 0))
            ready = poll.poll(self._patience(link))
            self._is_asleep = False
            if self._running and time.monotonic() >= next_look:
                link.look()
                next_look = time.monotonic() + _LOOKS_EVERY / 1000
            for descriptor, what in ready:
                if descriptor == bell:
                    self._bell.hear()
                elif descriptor == stderr:
                    if not link.messages.read():
                        poll.unregister(stderr)
                else:
                    if what & select.POLLOUT:
                        link.send()
                    if what & ~select.POLLOUT and not self._receive(link):
                        return

    def _patience(self, link: Link) -> Optional[int]:
        """How long to sleep, in milliseconds. From now on `add` wakes the thread, if there is
        anything that it could do."""
        if not link.is_sending and len(self._running) < self._window.size:
            self._is_asleep = True
            if self._waiting or self._mapping is not None:
                self._is_asleep = False
                return 0
        return _LOOKS_EVERY if self._running else None

    def _fill(self, link: Link) -> None:
        """Takes work as far as the window allows, and sends it."""
        if link.is_sending:
            return
        frames: List[bytes] = []
        size, running, window = 0, self._running, self._window.size
        while len(running) < window and size < _SENT_AT_ONCE:
            owner, call = self._next_call()
            if owner is None:
                break
            if len(call) > _payload.INLINE:
                call = self._in_file(link, owner, call)
            if call:
                self._sent = number = self._sent + 1
                running[number] = owner
                frames.append(TASK_HEAD.pack(len(call) + 1, _frames.TASK))
                frames.append(call)
                size += len(call)
        if frames:
            link.give(frames)

    def _next_call(self) -> Tuple[Optional[Owner], bytes]:
        """The next call and its owner; no owner if there is no work. No bytes: there is no call
        after all, because it was cancelled or cannot be pickled."""
        work: Union[Submitted, Mapping]
        while True:
            mapping = self._mapping
            if mapping is not None:
                try:
                    place, call = mapping.next_call()
                    return (mapping, place), call
                except IndexError:
                    mapping.tell()
                    self._mapping = None
            try:
                work = self._waiting.popleft()
            except IndexError:
                return None, b""
            if not isinstance(work, Mapping):
                break
            self._mapping = work
        future, function, arguments, keywords = work
        if _outcomes.is_wanted(future):
            try:
                return future, self._encoder.call(function, arguments, keywords)
            except BaseException as why:
                _outcomes.complete(future, Failure(why))
        return future, b""

    def _in_file(self, link: Link, owner: Owner, call: bytes) -> bytes:
        """Puts a large call into a file. Returns what is sent instead; nothing if the call has
        failed."""
        number = self._sent + 1
        name = f"client-call-{number}"
        try:
            sent = bytes([_payload.FILE]) + _payload.store(link.folder, name, call)
        except BaseException as why:
            self._give(owner, Failure(why))
            return b""
        self._files[number] = os.path.join(link.folder, name)
        return sent

    def _receive(self, link: Link) -> bool:
        """Receives outcomes. Returns false if msup has ended."""
        outcomes = link.receive()
        if outcomes is None:
            return False
        if outcomes:
            # What a worker has written to standard error before comes before.
            link.messages.read()
            self._complete(link, outcomes)
            self._window.note(len(outcomes))
        elif not self._window.size and link.folder:
            self._window.open(link.max_workers + 1)
        return True

    def _complete(self, link: Link, outcomes: List[_frames.Outcome]) -> None:
        """Gives results and exceptions to their owners. Raises BadStart."""
        running, complete, in_file = self._running, _outcomes.complete, _payload.IN_FILE
        touched: Set[Mapping] = set()
        try:
            for task, result, details in outcomes:
                owner = running.pop(task)
                if self._files:
                    self._remove_file(task)
                ending: Any = result
                if details is not None or result[:1] == in_file:
                    ending = self._read(link, owner, result, details)
                if type(owner) is tuple:
                    owner[0].results[owner[1]] = ending
                    touched.add(owner[0])
                else:
                    complete(owner, ending)  # type: ignore[arg-type]
                # The caller may be the last that holds the future, and what that holds.
                del owner, ending
        finally:
            for mapping in touched:
                mapping.tell()

    def _read(
        self, link: Link, owner: Owner, result: bytes, details: Optional[_frames.Details]
    ) -> Any:
        """An outcome that is more than a small result: the bytes of a result, or a Failure. Raises
        BadStart."""
        if details is not None:
            if details.cause in _outcomes.LOST:
                link.show_printed()
            for name, output in (("stdout", details.stdout), ("stderr", details.stderr)):
                if output:
                    show_bytes(name, output)
        try:
            return _outcomes.read(result, details, link.folder, self._settings.task_timeout)
        except _outcomes.BadStart:
            # It shares the fate of all others, which follows.
            self._running[0] = owner
            raise

    def _give(self, owner: Owner, ending: Any) -> None:
        """Completes one owner."""
        if isinstance(owner, tuple):
            owner[0].results[owner[1]] = ending
            owner[0].tell()
        else:
            _outcomes.complete(owner, ending)

    def _remove_file(self, task: int) -> None:
        path = self._files.pop(task, None)
        if path is not None:
            try:
                os.unlink(path)
            except OSError:
                pass

    def _has_work(self) -> bool:
        """Whether anything waits or runs."""
        with self._lock:
            return bool(self._running or self._waiting or self._mapping is not None)

    def _break(self, text: str, why: Optional[BaseException]) -> None:
        """The pool cannot go on: everything fails, and msup is stopped."""
        with self._lock:
            if self.broken is None:
                self.broken, self._broken_by = text, why
            waiting, self._waiting = self._waiting, deque()
            running, self._running = self._running, {}
        if self._link is not None:
            self._link.stop()
        mappings: Set[Mapping] = set()
        if self._mapping is not None:
            mappings.add(self._mapping)
            self._mapping = None
        for owner in running.values():
            if isinstance(owner, tuple):
                mappings.add(owner[0])
            else:
                _outcomes.complete(owner, Failure(self._broken_error()))
        for work in waiting:
            if isinstance(work, Mapping):
                mappings.add(work)
            elif _outcomes.is_wanted(work[0]):
                _outcomes.complete(work[0], Failure(self._broken_error()))
        for each in mappings:
            each.fail_rest(self._broken_error)
