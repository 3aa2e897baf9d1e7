"""What tasks print: all of it is shown, in its order, with its task, as it is."""

import ctypes
import io
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest
from contextlib import redirect_stdout

import cases
import msup
import test_programs
from msup import _capture, _printed


LEFT = []


def replaces_the_stream(text):
    """As programs do that want another encoding."""
    if not LEFT:
        LEFT.append(sys.stdout)
        sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    print(text)


def prints_by_c(text):
    ctypes.CDLL(None).printf(b"%s\n", text.encode())


def leaves_the_pipe_without_waiting():
    """As some programs do that write to it."""
    code = "import os; os.set_blocking(1, False)"
    subprocess.run([sys.executable, "-c", code], check=True)


def seq(count):
    return subprocess.call(["seq", str(count)])


def prints_while_signals_print(count):
    """As programs do whose handlers tell how far they are."""
    calls = []

    def handler(*_):
        calls.append(None)
        raw.write(b"by the handler\n")
        # Only now, so that none of these comes in the middle of another one.
        signal.setitimer(signal.ITIMER_REAL, 0.0003)

    # With -u there is no buffer.
    raw = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0003)
    for _ in range(count):
        raw.write(b"by the task\n")
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    return len(calls)


def prints_and_waits(path):
    print("printed", flush=True)
    open(path, "w").close()
    time.sleep(600)


def leaves_a_thread_that_does_not_end():
    print("printed")
    threading.Thread(target=time.sleep, args=(600,)).start()
    return os.getpid()


def prints_bytes(data):
    sys.stdout.buffer.write(data)


def large(number):
    return bytes([number % 256]) * 1_100_000


def dies_while_it_keeps_its_result():
    print("printed")
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    return bytes(3_000_000)


class Captured(unittest.TestCase):
    def setUp(self):
        self.stdout = io.StringIO()

    def shown(self, *calls):
        """What is shown of each of these calls when its future is done. One worker runs all."""
        shown = []
        with redirect_stdout(self.stdout), msup.Executor(procs=1) as pool:
            for function, *arguments in calls:
                pool.submit(function, *arguments).result()
                shown.append(self.stdout.getvalue())
                self.stdout.seek(0)
                self.stdout.truncate()
        self.assertEqual(self.stdout.getvalue(), "", "at the end")
        return shown

    def test_by_a_stream_in_the_place_of_the_first(self):
        calls = [(replaces_the_stream, text) for text in "ab"]
        self.assertEqual(self.shown(*calls), ["a\n", "b\n"])

    def test_by_the_c_library(self):
        self.assertEqual(self.shown((prints_by_c, "a"), (prints_by_c, "b")), ["a\n", "b\n"])

    def test_after_a_program_that_does_not_wait_for_the_pipe(self):
        shown = self.shown((leaves_the_pipe_without_waiting,), (seq, 500_000))
        self.assertEqual(shown[1].count("\n"), 500_000)

    def test_by_the_handler_of_a_signal_in_the_middle_of_a_print(self):
        with redirect_stdout(self.stdout), msup.Executor(procs=1) as pool:
            handled = pool.submit(prints_while_signals_print, 100_000).result()
        lines = self.stdout.getvalue().split("\n")
        self.assertEqual(len(lines), 100_000 + handled + 1)
        self.assertEqual(lines.count("by the handler"), handled)
        self.assertEqual(lines.count("by the task"), 100_000)

    def test_bytes_that_are_no_text(self):
        data = b"\xff\xfe\x00 h\xe9llo\n"
        for stdout in (io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()):
            with redirect_stdout(stdout), msup.Executor(procs=1) as pool:
                pool.submit(print, "before").result()
                pool.submit(prints_bytes, data).result()
                pool.submit(print, "after").result()
            stdout.flush()
            if isinstance(stdout, io.StringIO):
                # There is no place for bytes.
                escaped = data.decode(errors="backslashreplace")
                self.assertEqual(stdout.getvalue(), f"before\n{escaped}after\n")
            else:
                self.assertEqual(stdout.buffer.getvalue(), b"before\n" + data + b"after\n")

    def test_before_the_worker_died_with_a_large_result(self):
        with redirect_stdout(self.stdout), msup.Executor(procs=1) as pool:
            error = pool.submit(dies_while_it_keeps_its_result).exception()
        self.assertEqual((type(error), error.signal), (msup.WorkerDied, signal.SIGXFSZ))
        self.assertEqual(self.stdout.getvalue(), "printed\n")


class Refilled(_capture.Capture):
    """What stands for the capture of a worker in which a program prints without end."""

    def __init__(self):
        self._pipe, self.end = os.pipe()
        self._ready = select.poll()
        self._ready.register(self._pipe, select.POLLIN)
        self.moved = 0

    def _store(self, data):
        self.moved += len(data)
        os.write(self.end, data)


class Leaving(unittest.TestCase):
    def test_a_worker_that_has_run_its_tasks_does_not_wait_for_what_they_have_left(self):
        with redirect_stdout(io.StringIO()) as stdout:
            with msup.Executor(procs=1, max_tasks_per_child=1) as pool:
                # For ever, if it waits for the thread of the first one.
                workers = [pool.submit(leaves_a_thread_that_does_not_end) for _ in range(2)]
                self.assertEqual(len({worker.result() for worker in workers}), 2)
        self.assertEqual(stdout.getvalue(), "printed\n" * 2)


class MsupKilled(unittest.TestCase):
    def test_what_was_printed_is_shown_and_no_descriptor_is_left(self):
        counts = []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as place, redirect_stdout(io.StringIO()) as stdout:
                pool = msup.Executor(procs=1)
                path = os.path.join(place, "started")
                running = pool.submit(prints_and_waits, path)
                while not os.path.exists(path):
                    time.sleep(0.01)
                os.kill(pool._pool._link._server.process.pid, signal.SIGKILL)
                self.assertIsInstance(running.exception(), msup.BrokenPool)
                pool.shutdown()
                self.assertEqual(stdout.getvalue(), "printed\n")
            counts.append(len(os.listdir("/proc/self/fd")))
        self.assertEqual(counts, counts[:1] * 3)


class FullPipes(unittest.TestCase):
    """The executor takes from a pipe that is full only if its worker cannot."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder, self.stdout = folder.name, io.StringIO()
        pipe = os.path.join(self.folder, "client-pipe-1")
        os.mkfifo(pipe)
        self.pipe = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self.addCleanup(os.close, self.pipe)
        self.file = os.open(os.path.join(self.folder, "client-output-1"), os.O_RDWR | os.O_CREAT)
        self.addCleanup(os.close, self.file)

    def looks(self, move):
        """What is shown after three looks. `move`: what the worker does in between."""
        printed = _printed.Printed()
        with redirect_stdout(self.stdout):
            for _ in range(3):
                with self.assertRaises(BlockingIOError):
                    while True:
                        os.write(self.pipe, b"x" * 4096)
                printed.empty_full_pipes(self.folder)
                move()
        return self.stdout.getvalue()

    def test_a_program_that_prints_without_end_keeps_no_task_from_its_end(self):
        capture = Refilled()
        os.write(capture.end, b"y\n" * 1000)
        # For ever, if it waits for an empty pipe.
        capture._move()
        self.assertGreaterEqual(capture.moved, 2000)
        os.close(capture._pipe)
        os.close(capture.end)

    def test_a_worker_that_takes_nothing(self):
        self.assertEqual(set(self.looks(lambda: None)), {"x"})

    def test_a_worker_that_is_slower_than_its_program(self):
        def move():
            os.write(self.file, os.read(self.pipe, 4096))

        self.assertEqual(self.looks(move), "")


class Descriptors(unittest.TestCase):
    def setUp(self):
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))

    def test_large_results_of_a_map_that_wait(self):
        with msup.Executor(procs=2) as pool:
            results = pool.map(large, range(150))
            last = pool.submit(cases.square, 3)
            self.assertEqual(last.result(), 9)
            for number, result in enumerate(results):
                self.assertEqual(result, large(number))

    def test_more_workers_than_descriptors(self):
        printed = _printed.Printed()
        with tempfile.TemporaryDirectory() as folder:
            for number in range(200):
                open(os.path.join(folder, f"client-output-{number}"), "w").close()
            for _ in range(2):
                printed.keep(folder)
            # Another thread can still open files.
            with open(os.devnull), open(os.devnull):
                self.assertGreater(len(printed._kept), 10)
        printed.show_kept()


class Programs(test_programs.Programs):
    def test_what_a_task_has_printed_when_ctrl_c_comes(self):
        status, stdout, stderr = self.run_script("""
            import msup, os, signal, threading, time
            def prints():
                print("printed", flush=True)
                open("started", "w").close()
                time.sleep(600)
            def interrupt():
                while not os.path.exists("started"): time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGINT)
            if __name__ == "__main__":
                threading.Thread(target=interrupt).start()
                with msup.Executor(procs=1) as pool: pool.submit(prints).result()
        """)
        self.assertEqual((status, stdout), (-signal.SIGINT, "printed\n"), stderr)

    def test_a_stream_that_a_worker_file_has_kept(self):
        path = self.file("worker.py", "")
        code = """
            import sys
            kept = sys.stdout
            print("imported")
            import msup
            @msup.worker
            def work(value):
                print("kept", value, file=kept)
        """
        with open(path, "w") as file:
            file.write(f"#!{sys.executable}\n{textwrap.dedent(code)}")
        os.chmod(path, 0o755)
        words = ["-m", "msup", "-q", "-k", "-j1", "--no-journal", "--worker", path, ":::", "a", "b"]
        seen = self.start(sys.executable, *words).communicate()
        # What is printed before the first task goes where it goes in any task loop.
        self.assertEqual(seen, ("kept a\nkept b\n", "imported\n"))


if __name__ == "__main__":
    unittest.main()
