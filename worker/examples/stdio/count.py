#!/usr/bin/env python3
"""Counts the lines of each file: a stdio worker for msup.

    msup --worker-stdio ./count.py ::: logs/*
    find logs -type f -print0 | msup -0 --worker-stdio ./count.py -0
"""

import json
import sys


def values(end):
    """The values on standard input. This byte ends each of them."""
    rest = b""
    while chunk := sys.stdin.buffer.read1(65536):
        *whole, rest = (rest + chunk).split(end)
        yield from whole


for path in values(b"\0" if "-0" in sys.argv else b"\n"):
    try:
        with open(path, "rb") as file:
            lines = sum(1 for _ in file)
        answer = {"ok": True, "stdout": f"{lines} {path.decode(errors='replace')}\n"}
    except OSError as why:
        answer = {"error": str(why)}
    print(json.dumps(answer), flush=True)
