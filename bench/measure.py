"""Runs commands one after the other and says what they cost. A program of its own, and a small one: a child's peak memory
begins with that of the process which started it.

Reads `{"commands": [[...], ...], "environment": {...}, "out": FILE}` from standard input, writes one JSON object. `read` and `written`
are the bytes that passed through read, write and sendfile, of whatever file or socket, by the commands and all their children.
"""

import json
import os
import sys
import time


def run(words, environment, out):
    """One command; its costs. Standard output goes to a file, standard error is ours."""
    begun = time.perf_counter()
    opened = (os.POSIX_SPAWN_OPEN, 1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    child = os.posix_spawnp(words[0], words, environment, file_actions=[opened])
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # it is still there to be asked
    wall = time.perf_counter() - begun
    with open(f"/proc/{child}/io") as file:
        io = dict(line.split(": ") for line in file.read().splitlines())
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        sys.exit(f"{' '.join(words)}: ended with {code}")
    return {
        "wall": wall,
        "cpu": used.ru_utime + used.ru_stime,
        "rss": used.ru_maxrss * 1024,
        "read": int(io["rchar"]),
        "written": int(io["wchar"]),
    }


order = json.load(sys.stdin)
costs = [run(words, order["environment"], order["out"]) for words in order["commands"]]
total = {name: sum(each[name] for each in costs) for name in ("wall", "cpu", "read", "written")}
json.dump({**total, "rss": max(each["rss"] for each in costs)}, sys.stdout)
