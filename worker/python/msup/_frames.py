"""The frames of `msup serve`, as docs/guide/serve.md describes them: the side of the client."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

#: The version of the protocol.
PROTOCOL = 1

#: Kinds of frames to msup and from it.
TASK = 1
HELLO, OUTCOME, PART = 1, 2, 3

#: States of an outcome.
SUCCEEDED = 0

#: Causes of an outcome that mean something to an executor.
ERROR, TROUBLE, LOST_WORKER, OUT_OF_MEMORY, TIMED_OUT, STOPPED = 4, 6, 7, 8, 9, 11

#: `u32 length | u8 kind` before the content of a frame to msup.
TASK_HEAD = struct.Struct("<IB")

#: The largest value that msup takes, in bytes.
VALUE_AT_MOST = 15 << 20

_HEAD = struct.Struct("<IB")
_LENGTH = struct.Struct("<I")
_PART = struct.Struct("<QB")
_OUTCOME = struct.Struct("<QIBBBB")
#: The head and the whole of an outcome up to its result, if there is no text.
_PLAIN = struct.Struct("<IBQIBBBBII")
#: The length of an outcome without text, result and outputs, as its frame says it.
_PLAIN_LENGTH = _PLAIN.size - 4 + 2 * _LENGTH.size

_READ_AT_ONCE = 256 << 10


#: The first frame from msup: protocol, version, procs, max_workers, folder.
Hello = Dict[str, Any]


class ProtocolError(RuntimeError):
    """What is at the other end is not the msup that this package needs."""


class Details(NamedTuple):
    """An outcome that is more than a result. Outputs are bytes; the text is the cause's."""

    attempts: int
    state: int
    cause: int
    exit_status: int
    signal: int
    text: str
    stdout: bytes
    stderr: bytes


#: The number of the task, its result, and the rest if there is any.
Outcome = Tuple[int, bytes, Optional[Details]]


class Reader:
    """Reads frames from a socket that does not block."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray(2 * _READ_AT_ONCE)
        self._begin = self._end = 0
        #: The beginnings of outputs by task and stream.
        self._parts: Dict[Tuple[int, int], List[bytes]] = {}
        #: The first frame, once it is there.
        self.hello: Optional[Hello] = None

    def receive(self) -> bool:
        """Reads once. Returns whether more may come. Raises OSError, BlockingIOError among them."""
        if len(self._buffer) - self._end < _READ_AT_ONCE:
            self._make_room()
        with memoryview(self._buffer) as view:
            count = self._connection.recv_into(view[self._end :], _READ_AT_ONCE)
        self._end += count
        return count > 0

    def _make_room(self) -> None:
        """Moves what is left to the beginning, of a larger buffer if a large frame comes."""
        left = self._buffer[self._begin : self._end]
        size = len(self._buffer)
        if len(left) > size - _READ_AT_ONCE:
            size *= 2
        self._buffer = left + bytearray(size - len(left))
        self._begin, self._end = 0, len(left)

    def outcomes(self) -> List[Outcome]:
        """The outcomes that are there as a whole."""
        found: List[Outcome] = []
        at, end, buffer = self._begin, self._end, self._buffer
        unpack, plain, least = _PLAIN.unpack_from, _PLAIN.size, _PLAIN_LENGTH + 4
        while end - at >= least:
            head = unpack(buffer, at)
            length, kind, task, _, state, _, _, _, text, result = head
            after = at + 4 + length
            if after > end:
                break
            is_plain = length == _PLAIN_LENGTH + result and not text and not state
            if kind == OUTCOME and is_plain and not self._parts:
                found.append((task, bytes(buffer[at + plain : at + plain + result]), None))
            else:
                self._read(kind, bytes(buffer[at + _HEAD.size : after]), found)
            at = after
        if at == end:
            at = self._end = 0
        self._begin = at
        return found

    def _read(self, kind: int, content: bytes, found: List[Outcome]) -> None:
        """Reads a frame of any kind. Kinds that are not known are passed over."""
        if kind == OUTCOME:
            found.append(self._outcome(content))
        elif kind == PART:
            task, stream = _PART.unpack_from(content)
            self._parts.setdefault((task, stream), []).append(content[_PART.size :])
        elif kind == HELLO:
            self.hello = json.loads(content)

    def _outcome(self, content: bytes) -> Outcome:
        task, attempts, state, cause, exit_status, signal = _OUTCOME.unpack_from(content)
        at, fields = _OUTCOME.size, []
        for _ in range(4):
            (length,) = _LENGTH.unpack_from(content, at)
            at += _LENGTH.size
            fields.append(content[at : at + length])
            at += length
        text = fields[0].decode(errors="replace")
        result, stdout, stderr = (
            b"".join([*self._parts.pop((task, stream), []), field])
            for stream, field in enumerate(fields[1:])
        )
        details = Details(attempts, state, cause, exit_status, signal, text, stdout, stderr)
        return task, result, details
