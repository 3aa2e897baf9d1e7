#!/usr/bin/env python3
"""The same in Python, with the standard library's pool of processes or with msup's.

    find logs -type f | python3 aggregate.py [--executor msup] FOLDER
"""

import argparse
import concurrent.futures
import contextlib
import functools
import gzip
import io
import json
import os
import re
import sys
import zlib
from collections import Counter

try:
    import msup
except ImportError:
    msup = None

# Lets other tasks compute while this one waits. Without msup it does nothing.
blocking = msup.blocking if msup else contextlib.nullcontext

# The longest line that is read, in bytes, without its newline.
LONGEST_LINE = 1 << 20
TOP_PATHS = 10
# The exit status that says: skipped.
SKIPPED = 77

COMBINED = re.compile(
    r"([^ ]*) [^\[]*\[(\d\d)/(\w{3})/(\d{4}):(\d\d:\d\d)[^\]]*\] "
    r'"[^ "]* ([^ "]*) [^"]*" (\d{3}) (\d+|-) "[^"]*" "([^"]*)"',
    re.ASCII,
)
MINUTE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d", re.ASCII)
NUMBER = re.compile(r"(?<=/)[0-9]+(?=/|\Z)")
NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
MONTHS = {name: f"{number:02}" for number, name in enumerate(NAMES, 1)}
# The first line that applies counts.
FAMILIES = [
    ("bot", "bot"),
    ("Edg/", "edge"),
    ("Firefox/", "firefox"),
    ("Chrome/", "chrome"),
    ("Safari/", "safari"),
    ("curl/", "curl"),
]


class BadLog(Exception):
    """A log is damaged; there is no report."""


def combined(line):
    """Minute, client, path, agent, status, bytes and microseconds of a line of nginx's format."""
    found = COMBINED.fullmatch(line)
    if not found:
        raise ValueError
    client, day, month, year, time, target, status, size, agent = found.groups()
    minute = f"{year}-{MONTHS[month]}-{day}T{time}"
    return minute, client, target, agent, int(status), 0 if size == "-" else int(size), None


def from_json(line):
    """The same of a line of JSON."""
    event = json.loads(line)
    minute = event["time"][:16]
    if not MINUTE.fullmatch(minute):
        raise ValueError
    path, agent = event["path"], event["agent"]
    return minute, event["client"], path, agent, event["status"], event["bytes"], event["micros"]


def family(agent):
    """The family of a client's program."""
    return next((name for part, name in FAMILIES if part in agent), "other")


def percentile(values, percentage):
    """The smallest of the sorted values that this percentage of them does not exceed."""
    return values[-(-len(values) * percentage // 100) - 1]


def aggregate(log, content):
    """The report about a log, as a line of JSON. Raises BadLog if the log is damaged."""
    stem, is_compressed = (log[:-3], True) if log.endswith(".gz") else (log, False)
    if stem.endswith(".log"):
        parse = combined
    elif stem.endswith(".jsonl"):
        parse = from_json
    else:
        raise BadLog("its name must end in .log, .jsonl, .log.gz or .jsonl.gz")
    stream = io.BytesIO(content)
    if is_compressed:
        stream = io.BufferedReader(gzip.GzipFile(fileobj=stream), 64 << 10)
    number = total = 0
    clients, statuses, minutes, agents, paths = set(), Counter(), Counter(), Counter(), Counter()
    micros = []
    lines = iter(functools.partial(stream.readline, LONGEST_LINE + 1), b"")
    try:
        for number, line in enumerate(lines, 1):
            if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
                raise BadLog(f"line {number} is longer than {LONGEST_LINE} bytes")
            text = line.decode()
            record = parse(text[:-1] if text.endswith("\n") else text)
            minute, client, target, agent, status, size, took = record
            if not 100 <= status < 600:
                raise ValueError
            total += size
            clients.add(client)
            statuses[status] += 1
            minutes[minute] += 1
            agents[family(agent)] += 1
            paths[NUMBER.sub("{id}", target.partition("?")[0])] += 1
            if took is not None:
                micros.append(took)
    except (EOFError, OSError, zlib.error) as why:
        raise BadLog(f"it cannot be decompressed after line {number}: {why}") from None
    except UnicodeDecodeError:
        raise BadLog(f"line {number} is not UTF-8") from None
    except (ValueError, KeyError, TypeError):
        raise BadLog(f"line {number} has another format") from None
    micros.sort()
    report = {
        "lines": number,
        "bytes": total,
        "clients": len(clients),
        "statuses": dict(sorted(statuses.items())),
        "minutes": dict(sorted(minutes.items())),
        "agents": dict(sorted(agents.items())),
        "paths": sorted(paths.items(), key=lambda path: (-path[1], path[0]))[:TOP_PATHS],
        "micros": {f"p{p}": percentile(micros, p) for p in (50, 90, 99)} if micros else None,
    }
    text = json.dumps(report, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


def write_atomically(path, content):
    """Writes a file that is there with all of its content, or not at all."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.tmp")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)


def write_report(log, folder):
    """One task: from a log to its report."""
    with blocking(), open(log, "rb") as file:
        content = file.read()
    report = aggregate(log, content)
    with blocking():
        write_atomically(os.path.join(folder, os.path.basename(log) + ".json"), report)


def executor(args):
    """The pool that was asked for."""
    if args.executor == "msup":
        return msup.Executor()
    workers = args.workers or len(os.sched_getaffinity(0))
    return concurrent.futures.ProcessPoolExecutor(workers)


def main():
    """Writes a report about each log that standard input names, one path per line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", help="the folder for the reports")
    parser.add_argument("--executor", choices=["processes", "msup"], default="processes")
    parser.add_argument("--workers", type=int, help="of the processes; default: one per CPU")
    args = parser.parse_args()
    if args.executor == "msup" and args.workers:
        parser.error("--workers is for processes: msup finds the number itself")
    if args.executor == "msup" and not msup:
        print("aggregate.py: skipped: the Python package msup is not installed", file=sys.stderr)
        return SKIPPED
    logs = [os.fsdecode(line) for line in sys.stdin.buffer.read().split(b"\n") if line]
    failed = 0
    with executor(args) as pool:
        futures = {pool.submit(write_report, log, args.folder): log for log in logs}
        for future in concurrent.futures.as_completed(futures):
            why = future.exception()
            if why:
                print(f"aggregate.py: {futures[future]}: {why}", file=sys.stderr)
                failed += 1
    if failed:
        print(f"aggregate.py: {failed} logs failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
