"""Tasks and workers that die, at each step: one future fails, with its cause."""

import contextlib
import logging
import os
import signal
import tempfile
import time
import unittest
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool

import cases
import msup

#: What the future of a task fails with that ends in this way: the exception, its signal, its exit
#: status.
EXPECTED = {
    "exit": (msup.WorkerDied, None, 3),
    "sys.exit": (SystemExit, None, None),
    "SIGSEGV": (msup.WorkerDied, int(signal.SIGSEGV), None),
    "SIGKILL": (msup.WorkerDied, int(signal.SIGKILL), None),
    "exception": (ValueError, None, None),
    "out of memory": (MemoryError, None, None),
    "hang": (msup.TaskTimeout, None, None),
}

#: The ways that end a whole worker, even from a thread.
DEADLY = ["exit", "SIGSEGV", "SIGKILL"]


class Matrix(unittest.TestCase):
    def setUp(self):
        logger = logging.getLogger("concurrent.futures")
        logger.propagate, before = False, logger.propagate
        self.addCleanup(setattr, logger, "propagate", before)

    def check(self, way, function, argument):
        """Exactly one of many futures fails, and the next thousand tasks succeed."""
        timeout = 0.5 if way == "hang" else None
        with msup.Executor(procs=2, task_timeout=timeout) as pool:
            before = [pool.submit(cases.square, number) for number in range(50)]
            bad = pool.submit(function, argument)
            after = [pool.submit(cases.square, number) for number in range(50)]
            self.check_error(bad.exception(), way)
            self.assertEqual([future.result() for future in before + after], squares(50) * 2)
            self.check_lives_on(pool)

    def check_error(self, error, way):
        kind, signaled, exit_status = EXPECTED[way]
        self.assertIs(type(error), kind)
        if kind is msup.WorkerDied:
            seen = (error.signal, error.exit_status, error.attempts)
            self.assertEqual(seen, (signaled, exit_status, 1))
        elif kind is SystemExit:
            self.assertEqual(error.code, 4)

    def check_lives_on(self, pool):
        self.assertEqual(list(pool.map(cases.square, range(1000))), squares(1000))

    def test_unpickling_the_task(self):
        for way in cases.WAYS:
            with self.subTest(way):
                self.check(way, cases.identity, cases.ActsWhenUnpickled(way))

    def test_running(self):
        for way in cases.WAYS:
            with self.subTest(way):
                self.check(way, cases.act, way)

    def test_pickling_the_result(self):
        for way in cases.WAYS:
            with self.subTest(way):
                self.check(way, cases.acts_when_pickled, way)

    def test_unpickling_the_result(self):
        # In this process: what would end it ends any program.
        for way in ("exception", "sys.exit", "out of memory"):
            with self.subTest(way):
                self.check(way, cases.acts_when_unpickled, way)

    def test_pickling_the_task(self):
        for way in ("exception", "sys.exit", "out of memory"):
            with self.subTest(way):
                self.check(way, cases.identity, cases.ActsWhenPickled(way))

    def test_while_idle(self):
        for way in cases.WAYS:
            if way == "hang":
                continue  # A thread that sleeps is no hang.
            with self.subTest(way), msup.Executor(procs=1) as pool:
                worker = pool.submit(cases.act_later, way).result()
                if way in DEADLY:
                    wait_for_the_end_of(worker)
                self.check_lives_on(pool)

    def test_in_the_initializer(self):
        expected = {
            "exit": "status 3",
            "sys.exit": "SystemExit: 4",
            "SIGSEGV": "signal 11",
            "SIGKILL": "signal 9",
            "exception": "ValueError: as it was told to",
            "out of memory": "MemoryError",
            "hang": "start-timeout",
        }
        for way, text in expected.items():
            with self.subTest(way):
                timeout = 0.5 if way == "hang" else None
                pool = msup.Executor(
                    procs=1, initializer=cases.act, initargs=(way,), start_timeout=timeout
                )
                futures = [pool.submit(cases.pid) for _ in range(3)]
                results = pool.map(cases.pid, range(3))
                for future in futures:
                    error = future.exception()
                    self.assertIsInstance(error, msup.BrokenPool)
                    self.assertIsInstance(error, BrokenProcessPool)
                    self.assertIn(text, str(error))
                with self.assertRaises(msup.BrokenPool):
                    next(results)
                with self.assertRaises(msup.BrokenPool):
                    pool.submit(cases.pid)
                if way == "exception":
                    self.assertIsInstance(futures[0].exception().__cause__, ValueError)
                pool.shutdown()
        with msup.Executor() as pool:
            self.check_lives_on(pool)


class Others(unittest.TestCase):
    def test_the_kernel_kills_for_lack_of_memory(self):
        group = f"/sys/fs/cgroup/memory/msup-python-{os.getpid()}"
        try:
            os.mkdir(group)
        except OSError as why:
            self.skipTest(f"no control group can be made: {why}")
        self.addCleanup(os.rmdir, group)
        with open(os.path.join(group, "memory.limit_in_bytes"), "w") as file:
            file.write(str(128 << 20))
        # With swap space the kernel would have to kill nothing. One without has no such file.
        path = os.path.join(group, "memory.swappiness")
        with contextlib.suppress(OSError), open(path, "w") as file:
            file.write("0")
        with msup.Executor(procs=2) as pool:
            bad = pool.submit(cases.exhaust_group, group)
            good = [pool.submit(cases.square, number) for number in range(50)]
            error = bad.exception()
            self.assertIs(type(error), msup.OutOfMemory)
            self.assertEqual((error.signal, error.attempts), (9, 1))
            self.assertEqual([future.result() for future in good], squares(50))
            self.assertEqual(list(pool.map(cases.square, range(1000))), squares(1000))

    def test_tasks_of_dead_workers_are_retried(self):
        for way in DEADLY:
            with self.subTest(way), tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "attempts")
                with msup.Executor(procs=1, retries=2) as pool:
                    self.assertEqual(pool.submit(cases.attempts_in, path, way, 3).result(), 3)
                    os.unlink(path)
                    error = pool.submit(cases.attempts_in, path, way, 9).exception()
                    self.assertIsInstance(error, msup.WorkerDied)
                    self.assertEqual(error.attempts, 3)
                    self.assertIn("attempt 3", str(error))

    def test_exceptions_are_not_retried(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "attempts")
            with msup.Executor(procs=1, retries=5) as pool:
                with self.assertRaises(ValueError):
                    pool.submit(cases.attempts_in, path, "exception", 9).result()
            with open(path) as file:
                self.assertEqual(len(file.readlines()), 1)

    def test_one_item_of_a_map_dies(self):
        with msup.Executor(procs=2) as pool:
            results = pool.map(dies_at, range(100), [60] * 100)
            self.assertEqual([next(results) for _ in range(60)], list(range(60)))
            with self.assertRaises(msup.WorkerDied):
                next(results)
            self.assertEqual(list(pool.map(cases.square, range(1000))), squares(1000))

    def test_a_worker_that_is_killed_from_outside(self):
        with msup.Executor(procs=1) as pool:
            with tempfile.TemporaryDirectory() as folder:
                future = pool.submit(cases.nap_as, folder, 600)
                while not os.listdir(folder):
                    time.sleep(0.005)
                (worker,) = map(int, os.listdir(folder))
            # A worker does not react to SIGTERM: stopping it is the part of msup.
            os.kill(worker, signal.SIGTERM)
            os.kill(worker, signal.SIGKILL)
            error = future.exception()
            self.assertEqual((type(error), error.signal), (msup.WorkerDied, 9))
            self.assertEqual(pool.submit(cases.square, 3).result(), 9)

    def test_msup_is_killed(self):
        with msup.Executor(procs=1) as pool:
            running = pool.submit(cases.nap, 60)
            server = pool._pool._link._server.process
            os.kill(server.pid, signal.SIGKILL)
            with self.assertRaises(msup.BrokenPool):
                running.result()
            with self.assertRaises(msup.BrokenPool):
                pool.submit(cases.pid)

    def test_msup_is_killed_while_idle(self):
        with msup.Executor(procs=1) as pool:
            self.assertEqual(pool.submit(cases.square, 3).result(), 9)
            server = pool._pool._link._server.process
            os.kill(server.pid, signal.SIGKILL)
            while pool._broken is None:
                time.sleep(0.01)
            with self.assertRaisesRegex(msup.BrokenPool, "msup has stopped: .* signal 9"):
                pool.submit(cases.pid)

    def test_flags_that_msup_refuses(self):
        with msup.Executor(procs=60_000) as pool:
            # It may say so before there is a future, or after.
            with self.assertRaisesRegex(msup.BrokenPool, "msup has stopped: --procs 60000"):
                pool.submit(cases.pid).result()

    def test_many_crashes(self):
        with msup.Executor(procs=2) as pool:
            futures = [pool.submit(dies_at, number, number // 10 * 10) for number in range(200)]
            errors = [future.exception() for future in futures]
            died = [at for at, error in enumerate(errors) if error is not None]
            self.assertEqual(died, list(range(0, 200, 10)))

    def test_stopping_kills_what_runs(self):
        pool = msup.Executor(procs=1, max_workers=1)
        futures = [pool.submit(cases.nap, 600) for _ in range(10)]
        with self.assertRaises(KeyboardInterrupt), pool:
            raise KeyboardInterrupt
        for future in futures:
            with self.assertRaises((msup.BrokenPool, CancelledError)):
                future.result()


def dies_at(number, place):
    if number == place:
        cases.act("SIGSEGV")
    return number


def wait_for_the_end_of(process):
    while os.path.exists(f"/proc/{process}"):
        time.sleep(0.005)


def squares(count):
    return [number * number for number in range(count)]


if __name__ == "__main__":
    unittest.main()
