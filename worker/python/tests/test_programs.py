"""Whole programs: scripts, sessions, Ctrl-C, kills, worker files."""

import os
import pty
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

import msup
from msup import _programs

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(msup.__file__)))


class Programs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        path = os.pathsep.join([PACKAGE, HERE])
        self.environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}

    def file(self, name, code):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(textwrap.dedent(code))
        return path

    def start(self, *words, **streams):
        piped = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        arguments = {"cwd": self.folder, "env": self.environment, "text": True, **piped, **streams}
        process = subprocess.Popen([str(word) for word in words], **arguments)
        self.addCleanup(close, process)
        return process

    def run_script(self, code, *flags):
        """Runs a script. Returns its exit status, standard output and standard error."""
        script = self.start(sys.executable, *flags, self.file("script.py", code))
        stdout, stderr = script.communicate()
        return script.returncode, stdout, stderr


class Scripts(Programs):
    def test_a_script(self):
        seen = self.run_script("""
            import msup
            class Point:
                def __init__(self, x): self.x = x
            def moved(point): return Point(point.x + 1)
            if __name__ == "__main__":
                with msup.Executor(procs=2) as pool:
                    print([point.x for point in pool.map(moved, [Point(1), Point(2)])])
        """)
        self.assertEqual(seen, (0, "[2, 3]\n", ""))

    def test_a_module(self):
        self.file("module.py", """
            import msup
            def half(x): return x / 2
            if __name__ == "__main__":
                with msup.Executor(procs=1) as pool: print(pool.submit(half, 3).result())
        """)
        module = self.start(sys.executable, "-m", "module")
        self.assertEqual(module.communicate(), ("1.5\n", ""))

    def test_a_script_without_a_guard(self):
        status, stdout, stderr = self.run_script("""
            import msup
            def half(x): return x / 2
            with msup.Executor(procs=1) as pool:
                pool.submit(half, 3).result()
        """)
        self.assertEqual((status, stdout), (1, ""))
        self.assertIn("BrokenPool: a worker cannot start: RuntimeError", stderr)
        self.assertIn("if __name__ == '__main__':", stderr)

    def test_work_that_is_left_is_done_at_the_end(self):
        seen = self.run_script("""
            import msup, time
            if __name__ == "__main__":
                pool = msup.Executor(procs=1)
                pool.submit(time.sleep, 0.2)
                pool.submit(print, "done")
        """)
        self.assertEqual(seen, (0, "done\n", ""))

    def test_no_work_after_the_end(self):
        status, stdout, stderr = self.run_script("""
            import atexit, msup
            @atexit.register
            def last():
                for each in pools:
                    try: each.submit(print, "no")
                    except RuntimeError as why: print(type(why).__name__)
            if __name__ == "__main__":
                pools = [msup.Executor(procs=1), msup.Executor(procs=1)]
                pools[0].submit(abs, 1).result()
        """)
        self.assertEqual((status, stdout), (0, "RuntimeError\nRuntimeError\n"), stderr)

    def test_an_exception_in_the_block_waits_for_the_work(self):
        status, stdout, stderr = self.run_script("""
            import msup, time
            if __name__ == "__main__":
                with msup.Executor(procs=1) as pool:
                    pool.submit(time.sleep, 0.2)
                    pool.submit(print, "done")
                    raise ValueError("the script is wrong")
        """)
        self.assertEqual((status, stdout), (1, "done\n"))
        self.assertIn("ValueError: the script is wrong", stderr)

    def test_what_a_session_defines(self):
        try:
            import cloudpickle  # noqa: F401
        except ImportError:
            self.skipTest("cloudpickle is not installed")
        session = """
            import msup
            def f(x): return x + offset

            offset = 10
            pool = msup.Executor(procs=1)
            print(pool.submit(f, 1).result(), list(pool.map(lambda x: x * 2, [1, 2])))
            pool.shutdown()
        """
        self.check_session(session, "11 [2, 4]")

    def test_ctrl_c_in_a_session(self):
        session, terminal = self.session()
        type_in(terminal, "import cases, msup, os; pool = msup.Executor(procs=1)")
        calls = [
            "pool.submit(cases.nap_as, '{}', 600).result()",
            "with msup.Executor(procs=1) as at: at.submit(cases.nap_as, '{}', 600).result()\n",
        ]
        for number, call in enumerate(calls):
            place = os.path.join(self.folder, str(number))
            os.mkdir(place)
            type_in(terminal, call.format(number))
            while not os.listdir(place):
                time.sleep(0.01)
            session.send_signal(signal.SIGINT)
        call = "print(last.submit(abs, -12345).result())"
        type_in(terminal, f"with msup.Executor(procs=1) as last: {call}\n")
        type_in(terminal, "pool._pool.stop('the test is over')")
        type_in(terminal, "exit()")
        shown = read_all(terminal)
        self.assertEqual(session.wait(), 0, shown)
        self.assertEqual(shown.count("KeyboardInterrupt"), 2, shown)
        self.assertIn("12345\r\n", shown)

    def test_a_session_without_cloudpickle_says_so(self):
        session = """
            import sys; sys.modules["cloudpickle"] = None
            import msup
            def f(x): return x + 1

            with msup.Executor(procs=1) as pool: print(pool.submit(f, 1).exception())

        """
        self.check_session(session, "(pip install cloudpickle), or move it into a module")

    def check_session(self, lines, text):
        """An interactive session at a terminal, with these lines typed, shows this text."""
        session, terminal = self.session()
        for line in [*textwrap.dedent(lines).strip("\n").split("\n"), "", "exit()"]:
            type_in(terminal, line)
        shown = read_all(terminal)
        self.assertEqual(session.wait(), 0, shown)
        self.assertIn(text, shown)

    def session(self):
        """An interactive session, and the other end of its terminal."""
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        environment = {**self.environment, "TERM": "dumb", "PYTHON_BASIC_REPL": "1"}
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        session = self.start(sys.executable, "-q", "-i", env=environment, **streams)
        os.close(theirs)
        return session, ours


class Signals(Programs):
    SLEEPS = """
        import msup, os, sys, time
        def nap(path):
            open(path, "w").close()
            time.sleep(600)
        def main():
            {body}
        if __name__ == "__main__":
            main()
    """
    BODIES = {
        "in a with block": """
            with msup.Executor(procs=2) as pool:
                futures = [pool.submit(nap, f"started-{n}") for n in range(8)]
                futures[0].result()
        """,
        "in a map": """
            with msup.Executor(procs=2) as pool:
                list(pool.map(nap, [f"started-{n}" for n in range(8)]))
        """,
        "at the end of the block": """
            with msup.Executor(procs=2) as pool:
                for n in range(8): pool.submit(nap, f"started-{n}")
        """,
        "without a block": """
            pool = msup.Executor(procs=2)
            pool.submit(nap, "started-0").result()
        """,
        "at the end of the program": """
            pool = msup.Executor(procs=2)
            pool.submit(nap, "started-0")
        """,
    }

    def sleeping(self, body):
        """A script whose tasks sleep for long, when the first one does."""
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        body = textwrap.indent(textwrap.dedent(body), "            ").strip()
        path = self.file("script.py", self.SLEEPS.format(body=body))
        script = self.start(sys.executable, path, start_new_session=True)
        while not any(name.startswith("started") for name in os.listdir(self.folder)):
            self.assertIsNone(script.poll(), "it has ended")
            time.sleep(0.01)
        return script

    def test_ctrl_c_ends_a_script(self):
        for place, body in self.BODIES.items():
            with self.subTest(place):
                script = self.sleeping(body)
                below = descendants(script.pid)
                # As a terminal does: to the whole group.
                os.killpg(script.pid, signal.SIGINT)
                _, stderr = script.communicate()
                self.assertIn("KeyboardInterrupt", stderr)
                self.assertNotEqual(script.returncode, 0)
                self.assertGreaterEqual(len(below), 2)
                wait_for_the_end_of(below)

    def test_nothing_survives_a_kill(self):
        script = self.sleeping(self.BODIES["in a map"])
        below = descendants(script.pid)
        script.kill()
        script.wait()
        self.assertGreaterEqual(len(below), 3)
        wait_for_the_end_of(below)

    def test_a_forked_child_does_not_keep_the_workers(self):
        script = self.sleeping("""
            with msup.Executor(procs=1) as pool:
                pool.submit(nap, "started-0")
                if os.fork() == 0:
                    open("child", "w").write(str(os.getpid()))
                    time.sleep(600)
                time.sleep(600)
        """)
        child = os.path.join(self.folder, "child")
        while not content(child):
            time.sleep(0.01)
        child = int(content(child))
        below = [process for process in descendants(script.pid) if process != child]
        script.kill()
        script.wait()
        wait_for_the_end_of(below)
        self.assertTrue(os.path.exists(f"/proc/{child}"))
        os.kill(child, signal.SIGKILL)


class WorkerFiles(Programs):
    CODE = """
        #!{python}
        import msup, os, sys
        @msup.worker
        def convert(path):
            print("printed", path)
            if path == "bad": raise ValueError("it is bad")
            if path == "dies": os.abort()
            if path == "late": return later(path)
            with msup.blocking(): pass
            return path.upper()
        def later(path): pass
    """

    def worker(self):
        path = self.file("convert.py", self.CODE.format(python=sys.executable).lstrip("\n"))
        with open(path) as file:
            code = file.read()
        with open(path, "w") as file:
            file.write(code.lstrip())
        os.chmod(path, 0o755)
        return path

    def msup(self, *words):
        program = _programs.find("msup")
        run = self.start(program, "--no-journal", "-k", "--worker", self.worker(), ":::", *words)
        stdout, stderr = run.communicate()
        return run.returncode, stdout, stderr

    def test_values_become_calls(self):
        status, stdout, stderr = self.msup("a", "b")
        self.assertEqual((status, stdout), (0, "printed a\nA\nprinted b\nB\n"), stderr)

    def test_an_exception_fails_its_task(self):
        status, stdout, stderr = self.msup("a", "bad", "late", "c")
        self.assertEqual(status, 2)
        self.assertEqual(stdout, "printed a\nA\nprinted bad\nprinted late\nprinted c\nC\n")
        self.assertIn("error: ValueError: it is bad: bad", stderr)
        self.assertIn('raise ValueError("it is bad")', stderr)
        self.assertIn("what stands below @msup.worker is not defined", stderr)

    def test_a_crash_is_quarantined(self):
        status, stdout, stderr = self.msup("a", "dies")
        self.assertEqual((status, stdout), (1, "printed a\nA\n"))
        self.assertIn("task 2 was quarantined: lost worker (signal 6) (attempt 3): dies", stderr)

    def test_without_msup(self):
        worker = self.start(self.worker(), stdin=subprocess.PIPE)
        stdout, stderr = worker.communicate("a\nbad\nc\n")
        self.assertEqual(worker.returncode, 1)
        self.assertEqual(stdout, "printed a\nA\nprinted bad\nprinted c\nC\n")
        self.assertIn("task 2: ValueError: it is bad", stderr)

    def test_an_import_calls_nothing(self):
        self.worker()
        code = "import convert; print(convert.convert('x'))"
        seen = self.start(sys.executable, "-c", code).communicate()
        self.assertEqual(seen, ("printed x\nX\n", ""))

    def test_the_command(self):
        seen = self.start(sys.executable, "-m", "msup", "--version").communicate()[0]
        self.assertEqual(seen, f"msup {msup.__version__}\n")


def descendants(process):
    """The process ids below a process."""
    below, parents = [], {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            pass
    known = {process}
    while True:
        found = [one for one, parent in parents.items() if parent in known and one not in known]
        if not found:
            return below
        below += found
        known.update(found)


def wait_for_the_end_of(processes):
    """Until none of these lives. A zombie whose parent does not care does not live."""
    for process in processes:
        while is_alive(process):
            time.sleep(0.01)


def is_alive(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def type_in(terminal, line):
    os.write(terminal, line.replace("\n", "\r").encode() + b"\r")


def read_all(terminal):
    """What a terminal shows until its program has ended."""
    shown = b""
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
    return shown.decode(errors="replace")


def content(path):
    """The text of a file, empty if it is not there."""
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def close(process):
    if process.poll() is None:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


if __name__ == "__main__":
    unittest.main()
