"""The pools of this process: what becomes of them when it forks, and when it ends."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from contextlib import suppress
from typing import Any

from . import _launch
from ._pool import Pool

#: The pools whose threads may be alive.
pools: weakref.WeakSet[Pool] = weakref.WeakSet()
#: The program is over: no pool is made any more.
is_exiting = False

#: Ends the interpreter as Ctrl-C in the main program does: with that signal, when it has done the
#: rest. No other function of Python makes it do so.
_INTERRUPTED = b"raise KeyboardInterrupt('while the program waited for its executor')"


def join(pool: Pool) -> None:
    """Waits until a pool is done. Raises KeyboardInterrupt, and then it is."""
    try:
        _wait(pool)
    except KeyboardInterrupt:
        pool.stop("Ctrl-C has stopped the executor")
        _wait_whatever_comes(pool)
        raise


def _wait(pool: Pool) -> None:
    # Another thread, or Ctrl-C, may have kept it from being started.
    with suppress(RuntimeError):
        pool.join()


def _wait_whatever_comes(pool: Pool) -> None:
    """Waits for a pool that was stopped. At Ctrl-C, msup is killed: its workers die with it."""
    while True:
        try:
            _wait(pool)
            return
        except KeyboardInterrupt:
            pool.kill()


def _at_exit() -> None:
    """Before the interpreter exits: finishes the work, unless Ctrl-C has ended the program."""
    global is_exiting
    try:
        is_exiting = True
        last = getattr(sys, "last_type", None)
        is_interrupted = not hasattr(sys, "ps1") and last is KeyboardInterrupt
        left = list(pools)
        for pool in left:
            if is_interrupted:
                pool.stop("Ctrl-C has stopped the program")
            else:
                pool.close()
        for pool in left:
            _wait(pool)
    except KeyboardInterrupt:
        _end_interrupted()


def _after_exit() -> None:
    """When the interpreter has waited for threads: ends what Ctrl-C has kept that from."""
    if any(pool.is_alive() for pool in pools):
        _end_interrupted()


def _end_interrupted() -> None:
    """Stops all pools. The status of the program says that Ctrl-C has ended it."""
    import ctypes

    while True:
        try:
            for pool in list(pools):
                pool.stop("Ctrl-C has stopped the program")
            for pool in list(pools):
                _wait_whatever_comes(pool)
            break
        except KeyboardInterrupt:
            continue
    ctypes.pythonapi.PyRun_SimpleString(ctypes.c_char_p(_INTERRUPTED))


def _before_fork() -> None:
    """Before a fork: waits until no connection is being made."""
    _launch.no_forks.acquire()


def _after_fork_in_parent() -> None:
    with suppress(RuntimeError):
        # It is not held if Ctrl-C came before.
        _launch.no_forks.release()


def _after_fork_in_child() -> None:
    """In a child of fork: lets go of what belongs to the parent."""
    _launch.no_forks = threading.RLock()
    for pool in list(pools):
        pool.forget()
    pools.clear()


# As concurrent.futures does: before the interpreter waits for threads.
_register: Any = threading._register_atexit  # type: ignore[attr-defined]
_register(_at_exit)
atexit.register(_after_exit)
os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
