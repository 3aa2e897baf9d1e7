"""The connection to `msup serve`, and the life of its process. Nothing here waits for it, but the
end."""

from __future__ import annotations

import os
import select
import socket
import subprocess
from typing import List, Optional

from . import _frames, _launch, _payload
from ._errors import named
from ._frames import Outcome, Reader
from ._launch import Settings
from ._printed import Printed
from ._stderr import Messages

#: How long msup may take to exit when its work is done or it was stopped, in seconds. It waits 5 s
#: for workers that do not leave.
_EXITS_WITHIN = 20


class LinkError(RuntimeError):
    """The workers cannot be told how to start: why."""


class Link:
    """One `msup serve`. Raises OSError if it cannot be started."""

    def __init__(self, settings: Settings, preparation: bytes) -> None:
        """`preparation`: the file for the workers, see `_launch.preparation`. With
        `_launch.no_forks`."""
        self._server = _launch.start(settings)
        self._preparation = preparation
        self._printed = Printed()
        self._reader = Reader(self._server.connection)
        self.messages = Messages(self._server.stderr)
        self._unsent: Optional[memoryview] = None
        #: msup knows that no work comes any more.
        self.has_ended_input = False
        #: The run's folder, once msup has said it.
        self.folder = ""
        #: The largest number of workers, once msup has said it.
        self.max_workers = 0

    @property
    def connection(self) -> socket.socket:
        """For polling."""
        return self._server.connection

    @property
    def stderr(self) -> int:
        """The descriptor of the pipe of `messages`, for polling."""
        return self._server.stderr

    @property
    def is_sending(self) -> bool:
        """Whether something waits to be sent: no more can be given."""
        return self._unsent is not None

    def give(self, frames: List[bytes]) -> None:
        """Sends frames, as much as the connection takes now. Only when nothing waits."""
        self._unsent = memoryview(b"".join(frames))
        self.send()

    def send(self) -> None:
        """Sends more of what waits."""
        while self._unsent is not None:
            try:
                count = self._server.connection.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                # The end of msup's output comes, too, and then its last words tell why.
                self._unsent = None
                return
            self._unsent = self._unsent[count:] if count < len(self._unsent) else None

    def receive(self) -> Optional[List[Outcome]]:
        """The outcomes that have come. None if msup has ended. Raises LinkError and
        ProtocolError."""
        try:
            if not self._reader.receive():
                return None
        except BlockingIOError:
            return []
        except OSError:
            return None
        outcomes = self._reader.outcomes()
        if not self.folder and self._reader.hello is not None:
            self._greet(self._reader.hello)
        return outcomes

    def _greet(self, hello: _frames.Hello) -> None:
        if hello["protocol"] != _frames.PROTOCOL:
            raise _frames.ProtocolError(
                f"msup {hello['version']} speaks protocol {hello['protocol']}, not "
                f"{_frames.PROTOCOL}: install programs and package from the same version"
            )
        self.folder, self.max_workers = hello["folder"], hello["max_workers"]
        self._write_start()

    def _write_start(self) -> None:
        try:
            _launch.write_preparation(self.folder, self._preparation)
        except OSError as why:
            raise LinkError(f"the executor's folder cannot be used: {why}") from why

    def look(self) -> None:
        """Looks after the workers, from time to time. They would wait for ever for their file if it
        was removed, and for a full pipe. Raises LinkError."""
        if not os.path.exists(os.path.join(self.folder, _payload.START)):
            self._write_start()
        self._printed.empty_full_pipes(self.folder)
        self.show_printed()

    def show_printed(self) -> None:
        """Shows what workers have printed last that have died."""
        self._printed.show_dead(self.folder)

    def end_input(self) -> None:
        """Tells msup that no work comes any more."""
        if not self.has_ended_input:
            self.has_ended_input = True
            self._printed.keep(self.folder)
            self._shut(socket.SHUT_WR)

    def stop(self) -> None:
        """Tells msup to kill what runs, and to exit. Any thread may call it."""
        if self.folder:
            # What was printed before is shown.
            self._printed.keep(self.folder)
        self._shut(socket.SHUT_RDWR)

    def kill(self) -> None:
        """Kills msup: its workers die with it. Any thread may call it."""
        self._server.process.kill()

    def _shut(self, how: int) -> None:
        try:
            self._server.connection.shutdown(how)
        except OSError:
            pass  # It is closed, or msup is gone.

    def end(self) -> str:
        """Waits until msup has exited, and closes everything. Returns why it did: its last words,
        or its end."""
        process = self._server.process
        if self.folder:
            # msup may have been killed, and its folder is still there.
            self._printed.keep(self.folder)
        try:
            self._wait(process)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._printed.show_kept()
        self.messages.drain()
        self._server.connection.close()
        if process.stderr is not None:
            process.stderr.close()
        said, status = self.messages.said, process.returncode
        if status < 0:
            return f"it was killed by signal {named(-status)}"
        return said[-1] if said else f"it exited with status {status}"

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        """Waits for its exit, and reads what it says meanwhile. Raises TimeoutExpired."""
        try:
            pidfd = os.pidfd_open(process.pid)
        except OSError:
            # An old kernel, or it is gone.
            process.wait(_EXITS_WITHIN)
            return
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.register(self._server.stderr, select.POLLIN)
            while True:
                ready = poll.poll(_EXITS_WITHIN * 1000)
                if not ready or any(fd == pidfd for fd, _ in ready):
                    break
                if not self.messages.read():
                    poll.unregister(self._server.stderr)
        finally:
            os.close(pidfd)
        process.wait(0.1)

    def forget(self) -> None:
        """In a child of fork: closes the copy of the connection."""
        self._server.connection.close()
        if self._server.process.stderr is not None:
            self._server.process.stderr.close()
        # It is no child of this process.
        self._server.process.returncode = 0
