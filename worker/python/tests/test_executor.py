"""What an executor does when nothing dies."""

import asyncio
import functools
import gc
import io
import operator
import os
import pickle
import sys
import tempfile
import threading
import time
import unittest
import weakref
from concurrent.futures import CancelledError, TimeoutError, as_completed, wait
from contextlib import redirect_stderr, redirect_stdout

import cases
import msup


class Calls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = msup.Executor(procs=2)

    @classmethod
    def tearDownClass(cls):
        cls.pool.shutdown()

    def test_arguments_and_results(self):
        submit = self.pool.submit
        self.assertEqual(submit(cases.add, 1).result(), 1)
        self.assertEqual(submit(cases.add, 1, 2).result(), 3)
        self.assertEqual(submit(cases.add, 1, right=2, more=3).result(), 6)
        self.assertEqual(submit(cases.add, 1, right=2, more=4).result(), 7)
        self.assertEqual(submit(functools.partial(cases.add, 5), 2).result(), 7)
        self.assertEqual(submit([3, 1, 2].index, 2).result(), 2)
        self.assertEqual(submit(operator.itemgetter(1), "ab").result(), "b")
        self.assertIsNone(submit(cases.identity, None).result())

    def test_what_function_and_argument_share_stays_shared(self):
        shared = [1]
        self.assertTrue(self.pool.submit(functools.partial(operator.is_, shared), shared).result())

    def test_a_state_does_not_leak_into_the_next_call(self):
        # A bound method is copied for each call.
        numbers = []
        for _ in range(8):
            self.assertIsNone(self.pool.submit(numbers.append, 1).result())
        results = self.pool.map(functools.partial(extended, []), range(8))
        self.assertEqual(list(results), [[number] for number in range(8)])

    def test_map(self):
        self.assertEqual(list(self.pool.map(cases.square, range(1000))), squares(1000))
        self.assertEqual(list(self.pool.map(cases.add, [1, 2], [3, 4, 5])), [4, 6])
        self.assertEqual(list(self.pool.map(cases.square, [])), [])
        for size in (2, 7, 1000, 5000):
            results = self.pool.map(cases.square, range(1000), chunksize=size)
            self.assertEqual(list(results), squares(1000), size)
        with self.assertRaises(ValueError):
            self.pool.map(cases.square, [], chunksize=0)

    def test_map_takes_no_more_than_its_buffer(self):
        taken = []
        items = (taken.append(number) or number for number in range(100))
        results = self.pool.map(cases.square, items, buffersize=5)
        self.assertEqual(taken, list(range(5)))
        self.assertEqual(next(results), 0)
        self.assertEqual(len(taken), 6)
        self.assertEqual(list(results), squares(100)[1:])
        results = self.pool.map(cases.square, range(100), buffersize=3, chunksize=9)
        self.assertEqual(list(results), squares(100))

    def test_an_exception_ends_a_map(self):
        results = self.pool.map(divmod, [1, 1, 1], [2, 0, 5])
        self.assertEqual(next(results), (0, 1))
        with self.assertRaises(ZeroDivisionError):
            next(results)
        with self.assertRaises(StopIteration):
            next(results)

    def test_time_is_up(self):
        with self.assertRaises(TimeoutError):
            list(self.pool.map(cases.nap, [0, 1.5], timeout=0.3))
        with self.assertRaises(TimeoutError):
            self.pool.submit(cases.nap, 1).result(0.1)

    def test_exceptions_come_with_their_traceback(self):
        error = self.pool.submit(cases.fail, "the message").exception()
        self.assertEqual((type(error), error.args), (ValueError, ("the message",)))
        self.assertIsInstance(error.__cause__, msup.RemoteTraceback)
        self.assertIn("raise ValueError(message)", str(error.__cause__))
        self.assertIn("in fail", str(error.__cause__))

    def test_exceptions_that_cannot_be_passed_on(self):
        error = self.pool.submit(cases.raise_bad_to_unpickle).exception()
        self.assertIsInstance(error, msup.RemoteError)
        self.assertIn("cases.BadToUnpickle: one", str(error))
        self.assertIn("raise BadToUnpickle", str(error.__cause__))
        error = self.pool.submit(cases.raise_with_lock).exception()
        self.assertIsInstance(error, msup.RemoteError)
        self.assertIn("ValueError: has a lock", str(error))

    def test_what_cannot_be_pickled_fails_its_own_future(self):
        good = [self.pool.submit(cases.square, number) for number in range(20)]
        argument = self.pool.submit(cases.identity, threading.Lock())
        result = self.pool.submit(cases.returns_lock)
        good += [self.pool.submit(cases.square, number) for number in range(20)]
        self.assertIsInstance(argument.exception(), TypeError)
        self.assertIsInstance(result.exception(), TypeError)
        self.assertEqual([future.result() for future in good], squares(20) * 2)
        results = self.pool.map(cases.identity, [1, threading.Lock(), 3])
        self.assertEqual(next(results), 1)
        with self.assertRaises(TypeError):
            next(results)

    def test_large_arguments_and_results(self):
        for size in (1 << 16, (1 << 20) - 50, 1 << 20, 100_000_000):
            data = bytes(bytearray(os.urandom(1024)) * (size // 1024 + 1))[:size]
            self.assertEqual(self.pool.submit(cases.identity, data).result(), data)
        large = ["x" * 3_000_000] * 4
        self.assertEqual(list(self.pool.map(cases.identity, large)), large)

    def test_large_results_outlive_the_executor(self):
        with msup.Executor(procs=1) as pool:
            results = pool.map(cases.identity, ["x" * 3_000_000, "y"])
        self.assertEqual(list(map(len, results)), [3_000_000, 1])

    def test_standard_output_is_shown_here(self):
        stdout, stderr = io.StringIO(), io.StringIO()
        with redirect_stdout(stdout), redirect_stderr(stderr):
            self.assertEqual(self.pool.submit(cases.says, "hello").result(), "hello")
            # What a task has said is shown before its future is done.
            self.assertEqual(stdout.getvalue(), "hello\n")
            self.assertEqual(stderr.getvalue(), "hello on standard error\n")
            self.pool.submit(cases.says_by_a_program, "by echo").result()
        self.assertEqual(stdout.getvalue(), "hello\nby echo\n")
        stdout = io.StringIO()
        with redirect_stdout(stdout):
            self.pool.submit(print, "x" * 3_000_000, end="").result()
        self.assertEqual(len(stdout.getvalue()), 3_000_000)

    def test_two_outputs_are_not_mixed(self):
        stdout = io.StringIO()
        with redirect_stdout(stdout), redirect_stderr(io.StringIO()):
            list(self.pool.map(cases.says, [f"{number}\n" * 50 for number in range(20)]))
        lines = stdout.getvalue().split()
        self.assertEqual(len(lines), 1000)
        self.assertEqual([len(set(lines[at : at + 50])) for at in range(0, 1000, 50)], [1] * 20)

    def test_workers_are_reused_and_import_once(self):
        pids = set(self.pool.map(cases.pid, range(200)))
        self.assertLessEqual(len(pids), 2)
        self.assertNotIn(os.getpid(), pids)

    def test_one_after_the_other(self):
        # The thread of the pool falls asleep before each of them.
        for number in range(3000):
            self.assertEqual(self.pool.submit(cases.square, number).result(), number * number)

    def test_callbacks_and_waiting(self):
        called = []
        future = self.pool.submit(cases.square, 3)
        future.add_done_callback(lambda future: called.append(future.result()))
        wait([future])
        done = [future.result() for future in as_completed([self.pool.submit(cases.square, 4)])]
        self.assertEqual((called, done), ([9], [16]))

    def test_a_task_may_close_its_streams(self):
        for close in (cases.closes_stdout, cases.closes_descriptors):
            # In a worker of its own: the streams stay closed.
            with redirect_stdout(io.StringIO()), msup.Executor(procs=1) as pool:
                self.assertEqual(pool.submit(close).result(), "closed")
                self.assertEqual(list(pool.map(cases.square, range(100))), squares(100))

    def test_a_callback_that_raises_harms_nothing(self):
        def callback(_):
            raise SystemExit(1)

        with self.assertLogs("concurrent.futures", "ERROR"):
            future = self.pool.submit(cases.nap, 0.1)
            future.add_done_callback(callback)
            self.assertEqual(self.pool.submit(cases.square, 2).result(), 4)
            future.result()
            self.assertEqual(self.pool.submit(cases.square, 2).result(), 4)

    def test_nothing_is_kept(self):
        thing = Thing()
        collected = weakref.ref(thing)
        self.pool.submit(thing.method).result()
        self.pool.submit(cases.square, 1).result()
        del thing
        for _ in range(100):
            gc.collect()
            if collected() is None:
                break
            time.sleep(0.05)
        self.assertIsNone(collected())
        for thing in self.pool.map(make_thing, range(10)):
            reference = weakref.ref(thing)
            del thing
            gc.collect()
            self.assertIsNone(reference())

    def test_threads_share_an_executor(self):
        results = {}

        def run(number):
            results[number] = list(self.pool.map(cases.square, range(number)))

        threads = [threading.Thread(target=run, args=(number * 50,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, {number * 50: squares(number * 50) for number in range(8)})

    def test_asyncio(self):
        async def main():
            loop = asyncio.get_running_loop()
            run = [loop.run_in_executor(self.pool, cases.square, number) for number in range(9)]
            return await asyncio.gather(*run)

        self.assertEqual(asyncio.run(main()), squares(9))

    def test_a_task_may_have_an_executor(self):
        self.assertEqual(self.pool.submit(cases.nested, 20).result(), squares(20))

    def test_a_forked_child_of_a_task_is_not_the_worker(self):
        for _ in range(3):
            self.assertEqual(self.pool.submit(cases.forks_and_returns).result(), "the parent")

    def test_tasks_see_nothing_of_the_worker(self):
        left = self.pool.submit(cases.variables).result()
        # The run's id is for all; the other is the mark of these tests.
        self.assertLessEqual(set(left), {"MSUP_RUN", "MSUP_TEST_SANDBOX"})

    def test_sys_path_is_passed_on(self):
        self.assertEqual(self.pool.submit(eval, "__import__('sys').path").result(), sys.path)


class Lifetime(unittest.TestCase):
    def test_wrong_arguments(self):
        wrong = [
            ({"max_workers": 0}, ValueError, "max_workers must be greater than 0"),
            ({"procs": -1}, ValueError, "procs must be greater than 0"),
            ({"procs": "2"}, TypeError, "procs must be an integer"),
            ({"procs": 3, "max_workers": 2}, ValueError, "must not be more than max_workers"),
            ({"retries": -1}, ValueError, "retries must not be negative"),
            ({"task_timeout": 0}, ValueError, "task_timeout must be greater than 0"),
            ({"task_timeout": "1"}, TypeError, "task_timeout must be a number"),
            ({"max_tasks_per_child": 0}, ValueError, "max_tasks_per_child must be greater"),
            ({"initializer": 3}, TypeError, "initializer must be a callable"),
        ]
        for arguments, error, text in wrong:
            with self.assertRaisesRegex(error, text):
                msup.Executor(**arguments)

    def test_shutdown(self):
        pool = msup.Executor(procs=1)
        futures = [pool.submit(cases.nap, 0.02) for _ in range(10)]
        pool.shutdown()
        self.assertEqual([future.result() for future in futures], [0.02] * 10)
        pool.shutdown()
        for call in (lambda: pool.submit(cases.pid), lambda: pool.map(cases.pid, [1])):
            with self.assertRaisesRegex(RuntimeError, "after shutdown"):
                call()
        unused = msup.Executor()
        unused.shutdown()
        with self.assertRaisesRegex(RuntimeError, "after shutdown"):
            unused.submit(cases.pid)

    def test_what_waits_is_cancelled(self):
        pool = msup.Executor(procs=1, max_workers=1)
        futures = [pool.submit(cases.nap, 0.1) for _ in range(30)]
        results = pool.map(cases.nap, [0] * 5)
        self.assertTrue(futures[-1].cancel())
        pool.shutdown(cancel_futures=True)
        cancelled = [future for future in futures if future.cancelled()]
        self.assertGreater(len(cancelled), 20)
        self.assertGreater(len(futures), len(cancelled))
        self.assertTrue(all(future.done() for future in futures))
        self.assertEqual(len(wait(futures).done), 30)
        with self.assertRaises(CancelledError):
            list(results)

    def test_an_item_that_cannot_be_pickled_does_not_wait_for_others(self):
        with self.assertRaises(KeyboardInterrupt), msup.Executor(1, 1) as pool:
            pool.submit(cases.nap, 600)
            results = pool.map(cases.identity, [threading.Lock(), 1, 2, 3])
            with self.assertRaises(TypeError):
                next(results)
            raise KeyboardInterrupt  # The nap need not be waited for.

    def test_a_cancelled_future_does_not_run(self):
        with msup.Executor(procs=1, max_workers=1) as pool:
            first = [pool.submit(cases.nap, 0.2) for _ in range(3)]
            last = pool.submit(cases.fail, "it ran")
            self.assertTrue(last.cancel())
            self.assertEqual(len(wait([*first, last]).done), 4)
            self.assertTrue(last.cancelled())

    def test_no_wait(self):
        pool = msup.Executor(procs=1)
        future = pool.submit(cases.nap, 0.3)
        pool.shutdown(wait=False)
        self.assertFalse(future.done())
        self.assertEqual(future.result(), 0.3)

    def test_an_executor_that_is_forgotten_finishes_its_work(self):
        pool = msup.Executor(procs=1)
        thread = weakref.ref(pool._started())
        results = pool.map(cases.nap, [0.05] * 4)
        del pool
        gc.collect()
        self.assertEqual(list(results), [0.05] * 4)
        alive = thread()
        if alive is not None:
            alive.join()

    def test_initializer(self):
        with msup.Executor(procs=2, initializer=cases.remember, initargs=("this",)) as pool:
            for seen in pool.map(remembered_once, range(50)):
                self.assertEqual(seen, ["this"])

    def test_workers_are_replaced(self):
        with msup.Executor(procs=1, max_workers=1, max_tasks_per_child=3) as pool:
            pids = [pool.submit(cases.pid).result() for _ in range(9)]
        self.assertEqual([len(set(pids[at : at + 3])) for at in (0, 3, 6)], [1, 1, 1])
        self.assertEqual(len(set(pids)), 3)
        with msup.Executor(procs=2, max_tasks_per_child=1) as pool:
            self.assertEqual(len(set(pool.map(cases.pid, range(12)))), 12)

    def test_blocking_tasks_do_not_hold_the_cpu(self):
        with tempfile.TemporaryDirectory() as folder:
            with msup.Executor(procs=1, max_workers=4) as pool:
                # Hangs if the four are not in their blocking sections at once.
                list(pool.map(cases.meets, [folder] * 4, [4] * 4))

    def test_blocking_does_nothing_elsewhere(self):
        @msup.blocking()
        def call():
            with msup.blocking():
                return 3

        self.assertEqual(call(), 3)

    def test_a_forked_child_cannot_use_it(self):
        with msup.Executor(procs=1) as pool:
            pool.submit(cases.pid).result()
            unused = msup.Executor()
            child = os.fork()
            if child == 0:
                seen = 1
                try:
                    pool.submit(cases.pid)
                except RuntimeError as why:
                    seen = 0 if "has forked this one" in str(why) else 2
                try:
                    unused.submit(cases.pid)
                except RuntimeError as why:
                    seen += 0 if "has forked this one" in str(why) else 4
                pool.shutdown()
                os._exit(seen)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            self.assertEqual(pool.submit(cases.square, 5).result(), 25)

    def test_errors_can_be_pickled(self):
        error = msup.WorkerDied("gone", signal=9, attempts=2)
        copy = pickle.loads(pickle.dumps(error))
        seen = (str(copy), copy.signal, copy.exit_status, copy.attempts)
        self.assertEqual(seen, ("gone", 9, None, 2))


class Thing:
    def method(self):
        pass


def make_thing(_):
    return Thing()


def extended(numbers, number):
    numbers.append(number)
    return numbers


def remembered_once(_):
    return cases.remembered()


def squares(count):
    return [number * number for number in range(count)]


if __name__ == "__main__":
    unittest.main()
