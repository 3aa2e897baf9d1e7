"""Tasks, arguments, results and programs that do what an executor does not expect."""

import ctypes
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from contextlib import redirect_stdout

import cases
import msup
from msup import _encoder

try:
    import cloudpickle
except ImportError:
    cloudpickle = None

NUMBER = 1


@unittest.skipIf(cloudpickle is None, "cloudpickle is not installed")
class PickledByValue(unittest.TestCase):
    """Functions that are no name in a module: their pickles hold what they use."""

    def test_variables_are_those_of_the_time_of_the_call(self):
        global NUMBER
        factor = 1
        functions = [lambda x: x * NUMBER, lambda x: x * factor]
        with msup.Executor(procs=1) as pool:
            for function in functions:
                for NUMBER in (1, 2, 3):
                    factor = NUMBER
                    self.assertEqual(pool.submit(function, 10).result(), 10 * NUMBER)
                    self.assertEqual(list(pool.map(function, [10])), [10 * NUMBER])
                    chunks = pool.map(function, [10, 20], chunksize=2)
                    self.assertEqual(list(chunks), [10 * NUMBER, 20 * NUMBER])

    def test_no_call_sees_what_another_has_left(self):
        def seen(item, items=[]):  # noqa: B006
            items.append(item)
            return list(items)

        with msup.Executor(procs=1) as pool:
            for item in range(3):
                self.assertEqual(pool.submit(seen, item).result(), [item])
            self.assertEqual(list(pool.map(seen, range(3))), [[0], [1], [2]])

    def test_a_name_that_means_something_else_by_now(self):
        encoder, before = _encoder.Encoder(True), cases.square
        self.addCleanup(setattr, cases, "square", before)
        by_name = encoder.call(cases.square, (3,), {})
        cases.square = cases.pid
        try:
            self.assertNotEqual(encoder.call(before, (3,), {}), by_name)
        finally:
            cases.square = before


def opens_stdout_anew(way):
    """Writes 1 to 5 to standard output: some of them to what it opens anew."""
    os.write(1, b"1\n")
    if way == "programs":
        subprocess.run("echo 2 > /dev/stdout; echo 3 >> /proc/self/fd/1", shell=True, check=True)
    elif way == "truncating":
        for number in (2, 3):
            with open("/dev/stdout", "w") as file:
                file.write(f"{number}\n")
    else:
        descriptor = os.open("/proc/self/fd/1", os.O_WRONLY)
        for number in (2, 3):
            os.write(descriptor, b"%d\n" % number)
        os.close(descriptor)
    print(4, flush=True)
    os.write(1, b"5\n")


KEPT = []


def writes_to_a_kept_stream(text):
    """To standard output, opened by the first of these tasks."""
    if not KEPT:
        KEPT.append(open("/dev/stdout", "w"))
    print(text, "printed", flush=True)
    KEPT[0].write(f"{text} kept\n")
    KEPT[0].flush()


def leaves_a_program(path):
    """A program that prints when `path` is there, after this task."""
    code = f"while ! [ -e {path} ]; do sleep 0.01; done; echo late > /dev/stdout"
    KEPT.append(subprocess.Popen(code, shell=True))


def leaves_a_thread(path):
    def later():
        while not os.path.exists(path):
            time.sleep(0.01)
        print("late")

    KEPT.append(threading.Thread(target=later))
    KEPT[0].start()


def ends_what_was_left(path):
    open(path, "w").close()
    left = KEPT.pop()
    left.wait() if isinstance(left, subprocess.Popen) else left.join()


def redirects_descriptors(path):
    """As programs do that want the output of libraries in a file."""
    before = os.dup(1)
    with open(path, "w") as file:
        os.dup2(file.fileno(), 1)
        print("in the file", flush=True)
        os.dup2(before, 1)
    os.close(before)
    print("shown")


def prints_with_the_lock(size):
    """As a library may do: while it prints, no other thread of this process runs."""
    data = b"x" * size
    return ctypes.PyDLL(None).write(1, data, size)


def prints_while_files_are_small(size):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    for text in "ab":
        print(text * size, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class Output(unittest.TestCase):
    def setUp(self):
        self.stdout = io.StringIO()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "go")

    def test_opened_anew(self):
        for way in ("programs", "truncating", "plain"):
            with self.subTest(way), redirect_stdout(io.StringIO()) as stdout:
                with msup.Executor(procs=1) as pool:
                    for _ in range(2):
                        pool.submit(opens_stdout_anew, way).result()
                self.assertEqual(stdout.getvalue(), "1\n2\n3\n4\n5\n" * 2)

    def test_opened_anew_and_kept(self):
        with redirect_stdout(self.stdout), msup.Executor(procs=1) as pool:
            for text in "abc":
                pool.submit(writes_to_a_kept_stream, text).result()
        shown = "".join(f"{text} printed\n{text} kept\n" for text in "abc")
        self.assertEqual(self.stdout.getvalue(), shown)

    def test_written_after_the_task(self):
        for leave in (leaves_a_program, leaves_a_thread):
            with self.subTest(leave), redirect_stdout(io.StringIO()) as stdout:
                with msup.Executor(procs=1) as pool:
                    pool.submit(leave, self.path).result()
                    pool.submit(ends_what_was_left, self.path).result()
                self.assertEqual(stdout.getvalue(), "late\n")
                os.unlink(self.path)

    def test_descriptors_that_a_task_redirects(self):
        with redirect_stdout(self.stdout), msup.Executor(procs=1) as pool:
            pool.submit(redirects_descriptors, self.path).result()
        with open(self.path) as file:
            self.assertEqual((file.read(), self.stdout.getvalue()), ("in the file\n", "shown\n"))

    def test_more_than_a_pipe_holds(self):
        # The thread that empties the pipe cannot run.
        with redirect_stdout(self.stdout), msup.Executor(procs=1) as pool:
            self.assertEqual(pool.submit(prints_with_the_lock, 100_000).result(), 100_000)
            pool.submit(subprocess.call, ["seq", "50000"]).result()
        lines = "".join(f"{number}\n" for number in range(1, 50_001))
        self.assertEqual(self.stdout.getvalue(), "x" * 100_000 + lines)

    def test_printed_before_the_worker_died(self):
        for way in ("exit", "SIGSEGV", "SIGKILL"):
            with self.subTest(way), redirect_stdout(io.StringIO()) as stdout:
                with msup.Executor(procs=1) as pool:
                    self.assertIsNotNone(pool.submit(prints_and_acts, way).exception())
                    self.assertEqual(stdout.getvalue(), "printed before\n")
                    pool.submit(print, "printed after").result()
                self.assertEqual(stdout.getvalue(), "printed before\nprinted after\n")

    def test_printed_to_a_disk_that_is_full(self):
        with redirect_stdout(self.stdout), msup.Executor(procs=1) as pool:
            for _ in range(2):
                pool.submit(prints_while_files_are_small, 1000).result()
        self.assertEqual(self.stdout.getvalue(), f"{'a' * 1000}\n{'b' * 1000}\n" * 2)

    def test_characters_that_the_stream_has_not(self):
        stdout = io.TextIOWrapper(io.BytesIO(), "ascii")
        with redirect_stdout(stdout), msup.Executor(procs=1) as pool:
            pool.submit(print, "h\xe9llo").result()
        stdout.flush()
        self.assertEqual(stdout.buffer.getvalue(), b"h\\xe9llo\n")


def prints_and_acts(way):
    print("printed before", flush=True)
    cases.act(way)


class Frozen(Exception):
    def __setattr__(self, name, value):
        raise AttributeError(f"{name} cannot be set")


class Bad(Exception):
    """One of its methods raises."""

    def __init__(self, method, kind):
        super().__init__(method, kind)
        self.method, self.kind = method, kind

    def _called(self, method):
        if method == self.method:
            raise self.kind(f"of {method}")

    def __str__(self):
        self._called("__str__")
        return "bad"

    def __repr__(self):
        self._called("__repr__")
        return "Bad()"

    def __reduce__(self):
        self._called("__reduce__")
        return Bad, (self.method, self.kind)

    def __setstate__(self, state):
        self._called("__setstate__")


def raises(kind, *arguments):
    raise kind(*arguments)


class RaisingStream:
    def __init__(self, kind):
        self.kind = kind

    def write(self, text):
        raise self.kind("the stream is broken")

    flush = write


KINDS = (RuntimeError, KeyboardInterrupt, SystemExit)


class Completed(unittest.TestCase):
    """Every future is completed, and the executor goes on."""

    def setUp(self):
        self.pool = msup.Executor(procs=1)
        self.addCleanup(self.pool.shutdown)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "go")

    def goes_on(self):
        self.assertEqual(self.pool.submit(cases.square, 3).result(), 9)

    def test_exceptions_that_refuse(self):
        error = self.pool.submit(raises, Frozen, "it").exception()
        self.assertEqual((type(error), error.args), (Frozen, ("it",)))
        self.assertIsInstance(error.__cause__, msup.RemoteTraceback)
        for method in ("__str__", "__repr__", "__reduce__", "__setstate__"):
            for kind in KINDS:
                with self.subTest(method, kind=kind):
                    error = self.pool.submit(raises, Bad, method, kind).exception()
                    expected = msup.RemoteError if method == "__reduce__" else Bad
                    self.assertIs(type(error), expected)
                    self.assertIn("in raises", str(error.__cause__))
        self.goes_on()

    def test_callbacks_that_raise(self):
        for kind in KINDS:
            with self.subTest(kind), self.assertLogs("concurrent.futures"):
                called = threading.Event()
                future = self.pool.submit(wait_for, self.path)
                future.add_done_callback(lambda _, kind=kind: raises(kind))
                future.add_done_callback(lambda _: called.set())
                open(self.path, "w").close()
                self.assertIsNone(future.result())
                # For ever, if the second one is not called.
                called.wait()
                self.goes_on()
                os.unlink(self.path)

    def test_streams_that_raise(self):
        before = sys.stdout, sys.stderr
        try:
            for stream in (None, *map(RaisingStream, KINDS)):
                sys.stdout = sys.stderr = stream
                self.assertEqual(self.pool.submit(cases.says, "hello").result(), "hello")
                # What is logged goes to the broken stream, too.
                future = self.pool.submit(wait_for, self.path)
                future.add_done_callback(lambda _: raises(SystemExit))
                open(self.path, "w").close()
                self.assertIsNone(future.result())
                os.unlink(self.path)
            del sys.stdout, sys.stderr
            self.assertEqual(self.pool.submit(cases.says, "hello").result(), "hello")
        finally:
            sys.stdout, sys.stderr = before
        self.goes_on()

    def test_futures_that_the_program_completes(self):
        with msup.Executor(procs=1, max_workers=1) as pool:
            # Two of them are sent, and the third one waits.
            futures = [pool.submit(wait_for, self.path) for _ in range(3)]
            with self.assertLogs("concurrent.futures"):
                for future in futures:
                    future.set_result("mine")
                open(self.path, "w").close()
                self.assertEqual(pool.submit(cases.square, 3).result(), 9)
            self.assertEqual([future.result() for future in futures], ["mine"] * 3)

    def test_empty_maps(self):
        with msup.Executor(procs=1, max_workers=1) as pool:
            # They fill the window, so that all maps wait behind them.
            waiting = [pool.submit(wait_for, self.path) for _ in range(2)]
            maps = [pool.map(cases.square, []) for _ in range(3000)]
            last = pool.submit(cases.square, 3)
            open(self.path, "w").close()
            self.assertEqual([list(each) for each in maps], [[]] * 3000)
            self.assertEqual([future.result() for future in (*waiting, last)], [None, None, 9])
        nested = []
        for _ in range(1000):
            nested = self.pool.map(cases.square, nested)
        self.assertEqual(list(nested), [])
        self.goes_on()

    def test_a_folder_that_is_removed(self):
        with msup.Executor(procs=2, max_tasks_per_child=1) as pool:
            self.assertEqual(pool.submit(cases.square, 3).result(), 9)
            remove(pool._pool._link.folder)
            # In workers that have not started yet.
            self.assertEqual(list(pool.map(cases.square, range(4))), [0, 1, 4, 9])
            remove(pool._pool._link.folder)
            large = b"x" * 3_000_000
            self.assertEqual(pool.submit(cases.identity, large).result(), large)
            remove(pool._pool._link.folder)
            self.assertEqual(pool.submit(bytes, 3_000_000).result(), bytes(3_000_000))


def remove(folder):
    """Removes it, whatever is made in it meanwhile."""
    while os.path.exists(folder):
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)


if __name__ == "__main__":
    unittest.main()
