"""What tests let workers do. Workers import this module."""

import os
import signal
import sys
import threading
import time

#: The ways in which a task can end that are no result.
WAYS = ["exit", "sys.exit", "SIGSEGV", "SIGKILL", "exception", "out of memory", "hang"]

INITIALIZED = []


def act(way):
    """Ends this task, or this process, in this way."""
    if way == "exit":
        os._exit(3)
    if way == "sys.exit":
        sys.exit(4)
    if way == "SIGSEGV":
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(60)
    if way == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)
    if way == "exception":
        raise ValueError("as it was told to")
    if way == "out of memory":
        exhaust_memory()
    if way == "hang":
        time.sleep(600)
    raise AssertionError(f"{way} has come back")


def exhaust_memory():
    """Asks for more memory than this process may have."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 32, limits[1]))
    try:
        bytearray(1 << 40)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def exhaust_group(group):
    """Uses more memory than the control group allows: the kernel kills this process."""
    with open(os.path.join(group, "cgroup.procs"), "w") as file:
        file.write(str(os.getpid()))
    return len(bytearray(b"x") * (256 << 20))


class ActsWhenUnpickled:
    """Ends the process that unpickles it, or the task there."""

    def __init__(self, way):
        self.way = way

    def __reduce__(self):
        return act, (self.way,)


class ActsWhenPickled:
    """Ends the process that pickles it, or the task there."""

    def __init__(self, way):
        self.way = way

    def __reduce__(self):
        act(self.way)
        raise AssertionError("it has come back")


def identity(value):
    return value


def acts_when_pickled(way):
    return ActsWhenPickled(way)


def acts_when_unpickled(way):
    return ActsWhenUnpickled(way)


def act_later(way):
    """Ends in this way when the task has succeeded. Returns the worker's process id."""

    def later():
        time.sleep(0.1)
        act(way)

    threading.excepthook = lambda _: None
    threading.Thread(target=later, daemon=True).start()
    return os.getpid()


def remember(value):
    INITIALIZED.append(value)


def remembered():
    return list(INITIALIZED)


def pid(_=None):
    return os.getpid()


def square(number):
    return number * number


def add(left, right=0, *, more=0):
    return left + right + more


def nap(seconds):
    time.sleep(seconds)
    return seconds


def nap_as(folder, seconds):
    """Sleeps; a file in the folder has the worker's process id as its name."""
    open(os.path.join(folder, str(os.getpid())), "w").close()
    time.sleep(seconds)


def fail(message):
    raise ValueError(message)


class BadToUnpickle(Exception):
    """An exception whose pickle cannot be read: it needs two arguments and keeps one."""

    def __init__(self, one, two):
        super().__init__(one)
        self.two = two


def raise_bad_to_unpickle():
    raise BadToUnpickle("one", "two")


def raise_with_lock():
    error = ValueError("has a lock")
    error.lock = threading.Lock()
    raise error


def returns_lock():
    return threading.Lock()


def says(text):
    print(text)
    print(text + " on standard error", file=sys.stderr)
    return text


def says_by_a_program(text):
    import subprocess

    subprocess.run(["echo", text], check=True)


def closes_stdout():
    print("lost", flush=True)
    sys.stdout.close()
    return "closed"


def closes_descriptors():
    os.closerange(0, 3)
    return "closed"


def meets(folder, count):
    """Waits without the CPU until so many tasks are here at once."""
    import msup

    open(os.path.join(folder, f"{os.getpid()}-{time.monotonic_ns()}"), "w").close()
    with msup.blocking():
        while len(os.listdir(folder)) < count:
            time.sleep(0.005)


def nested(count):
    import msup

    with msup.Executor(procs=1) as pool:
        return list(pool.map(square, range(count)))


def forks_and_returns():
    """A child that comes back from the task as if it were the worker."""
    child = os.fork()
    if child == 0:
        return "the child"
    os.waitpid(child, 0)
    return "the parent"


def attempts_in(path, way, times):
    """Ends in this way until the file `path` has `times` lines. Returns their number."""
    with open(path, "a+") as file:
        file.write("attempt\n")
        file.flush()
        file.seek(0)
        count = len(file.readlines())
    if count < times:
        act(way)
    return count


def variables():
    """The variables of the environment that only a worker has before it attaches."""
    import subprocess

    shown = subprocess.run(["env"], stdout=subprocess.PIPE, check=True).stdout.decode()
    names = {line.split("=")[0] for line in shown.splitlines()} | set(os.environ)
    return sorted(name for name in names if name.startswith("MSUP_") and name != "MSUP_PROGRAMS")
