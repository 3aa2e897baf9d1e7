"""CPython's own tests of executors, from the Python that runs this, with `msup.Executor`.

All tests that hold for any executor are run, but those in `DO_NOT_APPLY`. Those for one kind of
executor are written anew in the other files: what happens when a worker dies is what differs.
"""

import importlib
import sys
import unittest

import msup

#: Tests of CPython that do not apply, and why.
DO_NOT_APPLY = {
    "test_interpreter_shutdown": "imports its executor by name; test_programs has the same",
    "test_submit_after_interpreter_shutdown": "imports its executor by name; so does that",
    "test_hang_gh83386": "imports its executor by name; so does that",
}

#: The modules of CPython's package of tests, and the cases in them for any executor. Until Python
#: 3.11 they are one module.
CASES = {
    "executor": ["ExecutorTest"],
    "test_wait": ["WaitTests"],
    "test_as_completed": ["AsCompletedTests"],
    "test_init": ["InitializerMixin", "FailingInitializerMixin"],
    "test_shutdown": ["ExecutorShutdownTest"],
}

PACKAGE = "test.test_concurrent_futures"


def module(name):
    """A module of CPython's tests. Raises ImportError if this Python comes without them."""
    package = importlib.import_module(PACKAGE)
    return importlib.import_module(f"{PACKAGE}.{name}") if hasattr(package, "__path__") else package


def load_tests(loader, standard, pattern):
    """A case for each of CPython's, with an executor of msup."""
    suite = unittest.TestSuite()
    try:
        parts = module("util")
    except ImportError as why:
        suite.addTest(Missing("test_missing", str(why)))
        return suite
    for name, cases in CASES.items():
        for theirs in cases:
            mixin = getattr(module(name), theirs)
            bases = [mixin, parts.ExecutorMixin, parts.BaseTestCase]
            if issubclass(mixin, parts.ExecutorMixin):
                del bases[1]
            content = {"executor_type": msup.Executor, "__module__": __name__}
            case = type(f"Msup{theirs}", tuple(bases), content)
            for test in loader.getTestCaseNames(case):
                if test not in DO_NOT_APPLY:
                    suite.addTest(case(test))
    suite.addTest(Found("test_found", suite.countTestCases()))
    return suite


class Missing(unittest.TestCase):
    """A Python without tests of its own."""

    def __init__(self, name, why=""):
        super().__init__(name)
        self.why = why

    def test_missing(self):
        self.skipTest(f"this Python has no tests of executors: {self.why}")


class Found(unittest.TestCase):
    """That the tests are there."""

    def __init__(self, name, count=0):
        super().__init__(name)
        self.count = count

    def test_found(self):
        print(f"{self.count} tests of CPython {sys.version.split()[0]}", file=sys.stderr)
        self.assertGreaterEqual(self.count, 25)


if __name__ == "__main__":
    unittest.main()
