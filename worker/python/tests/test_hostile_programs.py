"""Programs that are interrupted, fork or fail at a bad moment."""

import os
import signal
import sys
import textwrap
import time
import unittest

import test_programs
from test_programs import content, descendants, wait_for_the_end_of


class Interrupted(test_programs.Programs):
    def test_in_the_first_submit(self):
        """Ctrl-C between any two steps of a start: here, when a thread was started."""
        seen = self.run_script("""
            import msup, threading
            start = threading.Thread.start
            def interrupted(thread):
                start(thread)
                raise KeyboardInterrupt
            if __name__ == "__main__":
                pools = [msup.Executor(procs=1), msup.Executor(procs=1)]
                threading.Thread.start = interrupted
                for pool in pools:
                    try: pool.submit(abs, -1)
                    except KeyboardInterrupt: print("interrupted")
                threading.Thread.start = start
                # The other one is left as it is.
                print(pools[0].submit(abs, -2).result())
        """)
        self.assertEqual(seen, (0, "interrupted\ninterrupted\n2\n", ""))

    def test_as_the_thread_of_the_pool_begins(self):
        seen = self.run_script("""
            import msup, os, signal, time
            from msup import _pool
            run = _pool.Pool.run
            def interrupting(thread):
                os.kill(os.getpid(), signal.SIGINT)
                run(thread)
            if __name__ == "__main__":
                pool = msup.Executor(procs=1)
                _pool.Pool.run = interrupting
                try:
                    pool.submit(abs, -1)
                    time.sleep(600)
                except KeyboardInterrupt: print("interrupted")
                _pool.Pool.run = run
                print(pool.submit(abs, -2).result())
        """)
        self.assertEqual(seen, (0, "interrupted\n2\n", ""))

    SLEEPS = """
        import atexit, msup, os, sys, threading, time
        def nap():
            open("started", "w").close()
            time.sleep(600)
        def exits():
            while not os.path.exists("started"): time.sleep(0.01)
            open("exits", "w").close()
        if __name__ == "__main__":
            atexit.register(print, "the exit goes on")
            pool = msup.Executor(procs=1)
            pool.submit(nap)
            # Before the executor is waited for.
            threading._register_atexit(exits)
    """

    def test_at_the_end_of_the_program(self):
        script = self.start(sys.executable, self.file("script.py", self.SLEEPS))
        while not os.path.exists(os.path.join(self.folder, "exits")):
            self.assertIsNone(script.poll(), "it has ended")
            time.sleep(0.01)
        below = descendants(script.pid)
        script.send_signal(signal.SIGINT)
        stdout, stderr = script.communicate()
        # As Python itself dies by Ctrl-C: after it has cleaned up.
        self.assertEqual((script.returncode, stdout), (-signal.SIGINT, "the exit goes on\n"))
        self.assertIn("KeyboardInterrupt: while the program waited for its executor", stderr)
        self.assertGreaterEqual(len(below), 2)
        wait_for_the_end_of(below)


    def test_a_handler_that_shuts_down_while_the_executor_starts(self):
        seen = self.run_script("""
            import msup, signal
            from msup import _executor
            class Pool(_executor.Pool):
                def __init__(self, settings):
                    super().__init__(settings)
                    signal.raise_signal(signal.SIGTERM)
            if __name__ == "__main__":
                pool = msup.Executor(procs=1)
                signal.signal(signal.SIGTERM, lambda *_: pool.shutdown(cancel_futures=True))
                _executor.Pool = Pool
                # For ever, if the handler waits for the start.
                try: pool.submit(abs, -1)
                except RuntimeError as why: print(why)
                pool.shutdown()
                print("shut down")
        """)
        self.assertEqual(seen, (0, "cannot schedule new futures after shutdown\nshut down\n", ""))


class Forks(test_programs.Programs):
    def test_while_msup_starts(self):
        """Another thread forks between the steps of a start."""
        script = self.start(sys.executable, self.file("script.py", """
            import msup, os, subprocess, threading, time
            from msup import _launch
            forked = threading.Event()
            def fork():
                child = os.fork()
                if child == 0: time.sleep(600)
                open("child", "w").write(str(child))
                forked.set()
            class Popen(subprocess.Popen):
                def __init__(self, *words, **streams):
                    threading.Thread(target=fork, daemon=True).start()
                    # The fork may have to wait for this start: then this ends by itself.
                    forked.wait(0.5)
                    super().__init__(*words, **streams)
            if __name__ == "__main__":
                _launch.subprocess.Popen = Popen
                pool = msup.Executor(procs=1)
                pool.submit(abs, -1).result()
                forked.wait()
                open("ready", "w").close()
                time.sleep(600)
        """))
        while not os.path.exists(os.path.join(self.folder, "ready")):
            self.assertIsNone(script.poll(), "it has ended")
            time.sleep(0.01)
        child = int(content(os.path.join(self.folder, "child")))
        self.addCleanup(os.kill, child, signal.SIGKILL)
        below = [process for process in descendants(script.pid) if process != child]
        self.assertGreaterEqual(len(below), 2)
        script.kill()
        script.wait()
        # For ever, if the child has a copy of the connection.
        wait_for_the_end_of(below)


class Messages(test_programs.Programs):
    def test_what_is_no_name_in_a_module(self):
        status, stdout, stderr = self.run_script("""
            import sys; sys.modules["cloudpickle"] = None
            import msup
            def local():
                def function(): pass
                return function
            if __name__ == "__main__":
                with msup.Executor(procs=1) as pool:
                    calls = [(lambda: 0,), (local(),), (print, lambda: 0), (local,)]
                    for call in calls:
                        error = pool.submit(*call).exception()
                        print(type(error).__name__, str(error).count("\\n"), error)
                    pool.map(lambda x: x, [1])
        """)
        *errors, _ = lines = stdout.split("\n")
        self.assertEqual((status, len(lines)), (1, 5), stdout)
        way_out = "define it at the top level of a module, or install cloudpickle (pip install "
        for error in errors:
            self.assertRegex(error, "^PicklingError 0 Can't (pickle|get) ")
            self.assertIn(way_out, error)
        self.assertEqual(stderr.count("Traceback"), 1, stderr)
        self.assertIn(way_out, stderr)

    def test_an_initializer_that_raises(self):
        status, stdout, stderr = self.run_script("""
            import msup
            def wrong(): raise ValueError("it is wrong")
            if __name__ == "__main__":
                with msup.Executor(procs=2, initializer=wrong) as pool:
                    [pool.submit(abs, 1) for _ in range(3)][0].result()
        """)
        self.assertEqual((status, stdout), (1, ""))
        lines = stderr.splitlines()
        self.assertTrue(lines[-1].endswith("a worker cannot start: ValueError: it is wrong"))
        # The exception itself, as the cause of the last line. No log says it once more.
        self.assertEqual(lines.count("ValueError: it is wrong"), 1, stderr)
        self.assertEqual(stderr.count("in wrong"), 1, stderr)

    def test_a_worker_file_that_cannot_be_imported(self):
        path = self.file("worker.py", f"""
            #!{sys.executable}
            import msup
            import nowhere
            @msup.worker
            def work(value): pass
        """)
        with open(path) as file:
            code = file.read().lstrip()
        with open(path, "w") as file:
            file.write(code)
        os.chmod(path, 0o755)
        words = ["-m", "msup", "--no-journal", "--worker", path, ":::", "a", "b"]
        msup = self.start(sys.executable, *words)
        _, stderr = msup.communicate()
        self.assertEqual(msup.returncode, 255)
        self.assertEqual(stderr.count("ModuleNotFoundError: No module named 'nowhere'"), 1, stderr)
        self.assertEqual(stderr.count("exited 3 times before it took a task"), 1, stderr)

    def test_a_program_that_is_not_there(self):
        self.environment["MSUP_PROGRAMS"] = self.folder
        status, stdout, stderr = self.run_script(textwrap.dedent("""
            import msup
            if __name__ == "__main__":
                with msup.Executor() as pool:
                    for _ in range(2):
                        try: pool.submit(abs, 1)
                        except msup.BrokenPool as why: print(why)
        """))
        line = f"msup cannot be started: {self.folder}/msup is not there"
        self.assertEqual((status, stderr, stdout.count(line)), (0, "", 2), stdout)


if __name__ == "__main__":
    unittest.main()
