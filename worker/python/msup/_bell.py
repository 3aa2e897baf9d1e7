"""Wakes a thread that polls."""

from __future__ import annotations

import socket

#: More rings than this are heard one after the other.
_HEARD_AT_ONCE = 4096


class Bell:
    """Any thread rings it, and the one whose it is hears it."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        #: For polling.
        self.descriptor = self._ear.fileno()

    def ring(self) -> None:
        """Wakes the thread."""
        try:
            self._bell.send(b"\0")
        except OSError:
            pass  # It rings already, or the thread has ended.

    def hear(self) -> None:
        """Makes it silent, when it rings."""
        self._ear.recv(_HEARD_AT_ONCE)

    def close(self) -> None:
        """No more rings."""
        self._ear.close()
        self._bell.close()
