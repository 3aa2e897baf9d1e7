"""Parts of the package by themselves."""

import io
import os
import re
import socket
import struct
import sys
import unittest
from contextlib import redirect_stderr

from msup import _encoder, _frames, _launch, _library, _payload, _pickling, _stderr, _window


def outcome(task, result=b"", text=b"", state=0, cause=0, stdout=b"", stderr=b""):
    """A frame with an outcome, as docs/guide/serve.md describes it."""
    content = struct.pack("<QIBBBB", task, 2, state, cause, 3, 11)
    for field in (text, result, stdout, stderr):
        content += struct.pack("<I", len(field)) + field
    return frame(2, content)


def frame(kind, content):
    return struct.pack("<IB", len(content) + 1, kind) + content


class Frames(unittest.TestCase):
    HELLO = b'{"protocol":1,"version":"0.1.0","procs":8,"max_workers":800,"folder":"/f"}'

    def read(self, data, piece):
        """What a reader makes of these bytes if they come in pieces of this size."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        ours.setblocking(False)
        reader, found = _frames.Reader(ours), []
        for at in range(0, len(data), piece):
            theirs.sendall(data[at : at + piece])
            while True:
                try:
                    self.assertTrue(reader.receive())
                except BlockingIOError:
                    break
                found += reader.outcomes()
        theirs.close()
        self.assertFalse(reader.receive())
        return reader, found

    def test_frames_in_pieces_of_any_size(self):
        failed = outcome(2, b"r", b"why", 1, 4, b"out", b"err")
        parts = frame(3, struct.pack("<QB", 4, 0) + b"AB")
        parts += frame(3, struct.pack("<QB", 4, 1) + b"s")
        data = frame(1, self.HELLO) + outcome(1, b"one") + failed + frame(99, b"unknown" * 9)
        data += parts + outcome(4, b"C", stdout=b"t") + outcome(3) + outcome(5, b"five")
        expected = [
            (1, b"one", None),
            (2, b"r", _frames.Details(2, 1, 4, 3, 11, "why", b"out", b"err")),
            (4, b"ABC", _frames.Details(2, 0, 0, 3, 11, "", b"st", b"")),
            (3, b"", None),
            (5, b"five", None),
        ]
        for piece in (1, 2, 3, 7, 36, 37, 38, 100, len(data)):
            reader, found = self.read(data, piece)
            self.assertEqual(found, expected, piece)
            self.assertEqual(reader.hello["max_workers"], 800)

    def test_frames_that_are_larger_than_the_buffer(self):
        results = [os.urandom(size) for size in (3_000_000, 10, 700_000, 1, 5_000_000)]
        data = b"".join(outcome(task, result) for task, result in enumerate(results))
        _, found = self.read(data, 100_000)
        self.assertEqual([result for _, result, _ in found], results)

    def test_many_small_frames(self):
        data = b"".join(outcome(task, b"x" * (task % 50)) for task in range(20_000))
        _, found = self.read(data, 65_537)
        self.assertEqual([(task, len(result)) for task, result, _ in found],
                         [(task, task % 50) for task in range(20_000)])


class Encoding(unittest.TestCase):
    def round_trip(self, *call):
        decoder = _payload.Decoder("/nowhere")
        function, arguments, keywords = decoder.read(_encoder.Encoder(True).call(*call))
        return function(*arguments, **keywords)

    def test_calls(self):
        self.assertEqual(self.round_trip(divmod, (7, 2), {}), (3, 1))
        self.assertEqual(self.round_trip(sorted, ([1, 2],), {"reverse": True}), [2, 1])
        self.assertEqual(self.round_trip([4, 5].index, (5,), {}), 1)
        head = _payload.head(_payload.CHUNK | _payload.KEPT, _pickling.Pickler().dumps(divmod))
        call = head + _pickling.Pickler().dumps([(7, 2), (9, 4)])
        function, arguments, _ = _payload.Decoder("/nowhere").read(call)
        self.assertEqual(function(*arguments), [(3, 1), (2, 1)])

    def test_a_function_is_kept_only_for_calls_of_its_kind(self):
        encoder, decoder = _encoder.Encoder(True), _payload.Decoder("/nowhere")
        plain = encoder.call(divmod, (7, 2), {})
        decoder.read(plain)
        self.assertTrue(plain.startswith(decoder.kept_head))
        self.assertIs(decoder.kept, divmod)
        for other in (encoder.call(divmod, (7, 2), {"x": 1}), encoder.call(max, (7, 2), {})):
            self.assertFalse(other.startswith(decoder.kept_head))

    def test_which_functions_are_pickled_by_name(self):
        def closure():
            return self

        by_name, nameless = _pickling.Pickler().by_name, ([].append, closure, self.test_calls)
        self.assertTrue(all(map(by_name, (divmod, os.getpid, os.path.join, int))))
        self.assertFalse(any(map(by_name, (*nameless, lambda: 0, dict.fromkeys))))


class Details(unittest.TestCase):
    def test_a_task_is_as_the_header_of_the_library_says(self):
        here = os.path.dirname(os.path.abspath(__file__))
        with open(os.path.join(here, "../../ffi/include/msup.h")) as file:
            (fields,) = re.findall(r"struct msup_task \{(.*?)\n\};", file.read(), re.DOTALL)
        fields = re.findall(r"^    (\S.*?)(\w+);$", fields, re.MULTILINE)
        kinds = {
            "const uint8_t *": "LP_c_char",
            "size_t ": "c_ulong",
            "uint64_t ": "c_ulong",
            "uint32_t ": "c_uint",
        }
        expected = [(name, kinds[kind]) for kind, name in fields]
        seen = [(name, kind.__name__) for name, kind in _library.Task._fields_]
        self.assertEqual(seen, expected)

    def test_the_command_line(self):
        settings = _launch.Settings(2, 8, 3, 1.5, 0.0001, None, (), None)
        words = " ".join(_launch.arguments(settings))
        self.assertIn("--procs 2 --max-workers 8 --retries 1 --crash-limit 4", words)
        self.assertIn("--outside-limit 4 --timeout 1500ms --start-timeout 1ms", words)
        self.assertIn(f"--worker {sys.executable} --", words)

    def test_the_window_follows_the_rate(self):
        window = _window.Window()
        window.note(5)
        window.open(6)
        self.assertEqual(window.size, 6)
        window._since -= 1.0
        window.note(1000)
        self.assertIn(window.size, range(6 + 50, 6 + 101), "at most 100 are done in 100 ms")
        window._since -= 1.0
        window.note(10_000_000)
        self.assertEqual(window.size, 6 + 4096)
        window._since -= 1.0
        window.note(1)
        self.assertEqual(window.size, 6)

    def test_messages(self):
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        messages, shown = _stderr.Messages(ours), io.StringIO()
        with redirect_stderr(shown):
            for data in ("a\nms", "up: one\nb\nmsup", "ery\n", "msup", ": two\n", "10%\r20%"):
                os.write(theirs, data.encode())
                self.assertTrue(messages.read())
            self.assertTrue(messages.read(), "there is nothing now")
            os.write(theirs, "\né".encode()[:2])
            messages.read()
            os.write(theirs, "é".encode()[1:] + b"\nms")
            os.close(theirs)
            messages.drain()
        os.close(ours)
        self.assertEqual(list(messages.said), ["one", "two"])
        self.assertEqual(shown.getvalue(), "a\nb\nmsupery\n10%\r20%\né\nms")


if __name__ == "__main__":
    unittest.main()
