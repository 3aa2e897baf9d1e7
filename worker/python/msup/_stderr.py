"""Standard error of msup and its workers: shown in the parent, line by line as it comes."""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from collections import deque
from contextlib import suppress
from typing import Any, Deque

#: How lines of msup itself begin.
_OWN = "msup: "


class Messages:
    """Reads a pipe that does not block. What workers write is passed on to `sys.stderr`. What msup
    says is kept: the exceptions of futures say the same, or are made of it."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._held = ""
        self._at_start = True
        #: The last lines of msup, without what they begin with.
        self.said: Deque[str] = deque(maxlen=5)

    def read(self) -> bool:
        """Reads what is there. Returns whether more may come."""
        try:
            data = os.read(self._pipe, 64 << 10)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._take(data, not data)
        return bool(data)

    def drain(self) -> None:
        """Reads all that is there."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while poll.poll(0) and self.read():
            pass

    def _take(self, data: bytes, is_last: bool) -> None:
        text = self._held + self._decoder.decode(data, is_last)
        self._held = ""
        shown = []
        *lines, rest = text.split("\n")
        for line, newline in [*((line, "\n") for line in lines), (rest, "")]:
            if not line and not newline:
                break
            begins = self._at_start and line[: len(_OWN)] == _OWN[: len(line)]
            if begins and not newline and not is_last:
                # Perhaps a line of msup, perhaps not yet.
                self._held = line
                break
            if begins and line.startswith(_OWN):
                self.said.append(line[len(_OWN) :])
            else:
                shown.append(line + newline)
            self._at_start = bool(newline)
        if shown:
            show("stderr", "".join(shown))


def show_bytes(name: str, data: bytes) -> None:
    """Writes bytes as `show` does text. What is no text goes to the stream as it is, where that has
    a place for bytes."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        stream: Any = getattr(sys, name, None)
        if isinstance(stream, io.TextIOWrapper):
            # A stream that cannot be written loses it, as in `show`.
            with suppress(BaseException):
                stream.flush()
                stream.buffer.write(data)
            return
        text = data.decode(errors="backslashreplace")
    show(name, text)


def show(name: str, text: str) -> None:
    """Writes text to `sys.stdout` or `sys.stderr`, or to what stands for it now. A stream that
    cannot be written loses it, whatever it raises."""
    try:
        stream: Any = getattr(sys, name)
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    except BaseException:
        pass
