"""How many calls an executor sends ahead."""

from __future__ import annotations

import time

#: The window covers what is done in this time, in seconds, at the rate of late. A client that waits
#: for a CPU on a busy machine is back in less.
_AHEAD = 0.1
#: How often the rate of outcomes is taken, in seconds.
_RATED_EVERY = 0.002
#: More calls than this are never sent ahead, beyond one for each worker.
_AHEAD_AT_MOST = 4096


class Window:
    """How many calls are sent ahead: one for each worker and one more, and what is done in a moment
    at the rate of late."""

    def __init__(self) -> None:
        #: The number of calls; 0 before `open`.
        self.size = 0
        self._least = 0
        self._done = 0
        self._since = 0.0

    def open(self, least: int) -> None:
        """Calls may be sent: at least so many."""
        self.size = self._least = least
        self._since = time.monotonic()

    def note(self, count: int) -> None:
        """So many outcomes have come."""
        self._done += count
        now = time.monotonic()
        passed = now - self._since
        if passed >= _RATED_EVERY:
            ahead = min(int(self._done / passed * _AHEAD), _AHEAD_AT_MOST)
            self.size = self._least + ahead
            self._done, self._since = 0, now
