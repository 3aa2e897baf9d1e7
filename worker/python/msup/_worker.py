"""The program of an executor's workers: claims calls, runs them, reports their results."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from typing import Any, Dict, Optional

from . import _bad_start, _library, _payload
from ._capture import Capture
from ._library import Loop
from ._payload import Decoder
from ._pickling import PROTOCOL, UNPICKLABLE, Pickler

#: How often a worker looks whether the executor's file is there, in seconds.
LOOKS_EVERY = 0.01

#: How long threads that tasks have left may keep a worker that has run all its tasks from its exit,
#: in seconds: as long as msup waits for workers that it has told to exit.
LEAVES_WITHIN = 5

#: The result of most tasks that are called for what they do.
NONE = pickle.dumps(None, PROTOCOL)

#: So much of an exception's last line is for msup; the executor gets it whole.
SUMMARY_AT_MOST = 1000


class Worker:
    """One worker process. All calls are made by its main thread."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        #: The run's folder. msup gives its workers a folder in it.
        self._folder = os.path.dirname(loop.folder or "")
        self._capture = Capture(self._folder)
        self._decoder = Decoder(self._folder)
        self._pickler = Pickler()
        self._files = 0
        #: After this number of tasks the worker exits; None: never.
        self._tasks_at_most: Optional[int] = None
        self._has_run_all = False

    def main(self) -> int:
        """Prepares the process, then runs tasks until there are no more. Returns the exit
        status."""
        try:
            self._prepare()
        except BaseException as why:
            return self._report_bad_start(why)
        self._run()
        status = self._loop.exit_status()
        if self._has_run_all:
            # msup does not know that it exits, and gives its place to no other worker before.
            threading.Thread(target=self._leave, args=(status,), daemon=True).start()
        return status

    def _leave(self, status: int) -> None:
        """Ends this process if threads that tasks have left keep it from that."""
        time.sleep(LEAVES_WITHIN)
        self._capture.flush()
        os._exit(status)

    def _prepare(self) -> None:
        """Waits for the executor's file and does what it says: the paths, `__main__`, the
        initializer. Raises whatever these raise."""
        start = self._read_start()
        self._tasks_at_most = start["tasks_at_most"]
        import multiprocessing.process
        import multiprocessing.spawn

        process: Any = multiprocessing.process.current_process()
        # An executor that the import of __main__ makes, for lack of an `if __name__ == ...`, is
        # an error: it would start workers without end.
        process._inheriting = True
        try:
            multiprocessing.spawn.prepare(start["preparation"])
        finally:
            del process._inheriting
        if start["initializer"] is not None:
            function, arguments = pickle.loads(start["initializer"])
            function(*arguments)

    def _read_start(self) -> Dict[str, Any]:
        path = os.path.join(self._folder, _payload.START)
        while True:
            try:
                with open(path, "rb") as file:
                    return pickle.load(file)  # type: ignore[no-any-return]
            except FileNotFoundError:
                # It was removed: the executor writes it again. If the executor is gone, so is msup,
                # and then this process is killed.
                time.sleep(LOOKS_EVERY)

    def _report_bad_start(self, why: BaseException) -> int:
        """Tells the executor why this worker cannot work, as the outcome of a task: it fails
        anyway."""
        loop = self._loop
        if loop.check(loop.next_task(loop.place)) == 0:
            return loop.exit_status()
        self._fail(why, _payload.NOT_STARTED)
        return 1

    def _run(self) -> None:
        """Runs tasks. Few steps for each: this is what a task costs."""
        loop, decoder, capture = self._loop, self._decoder, self._capture
        next_task, place, done_with = loop.next_task, loop.place, loop.done_with
        loads, dumps = pickle.loads, pickle.dumps
        task, left = loop.task, self._tasks_at_most or -1
        function: Any
        arguments: Any
        keywords: Any
        while next_task(place) == 1:
            failure = None
            try:
                value = task.value[: task.length]
                if value.startswith(decoder.kept_head):
                    # Most calls: the function of the last one, without keywords.
                    result = decoder.kept(*loads(value[len(decoder.kept_head) :]))
                else:
                    function, arguments, keywords = decoder.read(value)
                    result = function(*arguments, **keywords)
                    function = arguments = keywords = None
                if result is None:
                    data = NONE
                else:
                    try:
                        data = dumps(result, PROTOCOL)
                    except UNPICKLABLE:
                        data = self._pickler.dumps(result)
                    result = None
            except BaseException as why:
                failure, result, value = why, None, b""
                function = arguments = keywords = None
            if loop.forked:
                # A child of fork that has come back from the task: the task is not its own.
                os._exit(0)
            if loop.depth:
                # A generator or a thread has left a section open.
                loop.depth = 0
                loop.exit()
            if failure is not None:
                self._fail(failure)
                failure = None
            elif len(data) > _payload.INLINE:
                self._finish_large(data)
            else:
                capture.drain(loop)
                loop.check(done_with(data, len(data)))
            data = b""
            left -= 1
            if left == 0:
                self._has_run_all = True
                return

    def _fail(self, why: BaseException, letter: bytes = _payload.RAISED) -> None:
        """Reports an exception: of the task, or of the start."""
        try:
            result = self._sent(_payload.raised(letter, why, self._pickler))
        except OSError as lost:
            # It is too large for anything but a file.
            summary = _payload.summary_of(why)[:SUMMARY_AT_MOST]
            smaller = RuntimeError(f"{summary} (not passed on as a whole: {lost})")
            result = _payload.raised(letter, smaller, self._pickler)
        self._capture.drain(self._loop)
        self._loop.write(_library.RESULT, result)
        self._loop.fail(_payload.summary_of(why)[:SUMMARY_AT_MOST])

    def _finish_large(self, data: bytes) -> None:
        """Reports a result that goes into a file, or why it cannot."""
        self._capture.flush()
        try:
            name = self._sent(data)
        except OSError as why:
            self._fail(why)
            return
        # Only now: if this process is killed while it writes the file, what it has printed is
        # shown by the executor.
        self._capture.drain(self._loop)
        self._loop.check(self._loop.done_with(name, len(name)))

    def _sent(self, data: bytes) -> bytes:
        """The result as it is sent: a large one goes into a file. Raises OSError."""
        if len(data) <= _payload.INLINE:
            return data
        self._files += 1
        name = f"client-result-{os.getpid()}-{self._files}"
        return _payload.IN_FILE + _payload.store(self._folder, name, data)


def main() -> None:
    """Runs as a worker, and exits."""
    loop = _library.attach()
    _bad_start.end()
    if not loop.supervised:
        sys.exit("msup._worker is started by msup.Executor")
    sys.exit(Worker(loop).main())
