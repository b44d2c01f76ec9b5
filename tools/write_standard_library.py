"""Writes what differs between the standard libraries of Python 3.9 to 3.14: builder/modelcrate/resolve/standard_library.txt.

    python tools/write_standard_library.py "python3.9" "python3.10" ... "chroot FOLDER /usr/bin/python3.14"

Each argument is the command of one interpreter, the oldest first; every minor version has to be among them. Each imports its own
standard library and tells the modules, the public names in them, and the names of the arguments of what can be called. What all
of them have is left out, and so are numbers that depend on how an interpreter was built.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LIST = ROOT / "builder/modelcrate/resolve/standard_library.txt"
HEADER = "# Written by tools/write_standard_library.py: a module, a name or an argument, and the first and last minor version with it.\n"
OLDEST, NEWEST = 9, 14
SEEDS = {
    "collections": ["Mapping", "MutableMapping", "Sequence", "Iterable", "Callable", "Hashable", "Set", "MutableSet"]
}
"""Names that a module makes when it is asked for them, so that no list of its names has them."""

PROBE = Path(__file__).with_name("standard_library_probe.py")
Told = Mapping[str, Any]


def main(commands: list[str]) -> None:
    """Asks the interpreters twice: what one has, the others are asked for."""
    asked = [shlex.split(each) for each in commands]
    lists = [ask(each, {}) for each in asked]
    tops = sorted({name for each in lists for name in each["tops"]})
    names: dict[str, list[str]] = dict(SEEDS)
    for _ in range(2):
        told = [ask(each, {"tops": tops, "names": names, "seeds": SEEDS}) for each in asked]
        for one in told:
            for module, found in one["modules"].items():
                names[module] = sorted({*names.get(module, ()), *(found or ())})
    told = [{**one, **own} for one, own in zip(told, lists, strict=True)]
    assert [one["minor"] for one in told] == list(range(OLDEST, NEWEST + 1)), "one interpreter of each minor version"
    lines = [f"{name} {first} {last}" for name, (first, last) in sorted(ranges(told, tops).items())]
    LIST.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} lines")


def ask(command: list[str], question: Told) -> Told:
    """Returns what an interpreter tells, without the packages that are installed for it."""
    done = subprocess.run(
        [*command, "-I", "-S", "-c", PROBE.read_text()],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def ranges(told: list[Told], tops: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Returns the first and last minor version of each thing that some have and others lack."""
    found: dict[str, tuple[int, int]] = {}
    lists = [frozenset(one["tops"]) for one in told]
    for top in tops:
        anywhere = any(top in one["modules"] for one in told)
        keep(
            found,
            top,
            {
                one["minor"]: top in own if one["listed"] or anywhere else True
                for one, own in zip(told, lists, strict=True)
            },
        )
    for module in sorted({module for one in told for module in one["modules"]}):
        if any(part.startswith("_") for part in module.split(".")):
            continue
        if "." in module:
            keep(found, module, {one["minor"]: module in one["modules"] for one in told})
        having = {one["minor"]: one["modules"][module] for one in told if one["modules"].get(module) is not None}
        for name in sorted({name for each in having.values() for name in each}):
            what = {minor: each[name] for minor, each in having.items() if name in each}
            if not any(each["own"] for each in what.values()):
                continue
            keep(found, f"{module}.{name}", {minor: minor in what for minor in having})
            calls = {minor: each["arguments"] for minor, each in what.items()}
            if None not in calls.values():
                for argument in sorted({argument for each in calls.values() for argument in each}):
                    keep(
                        found,
                        f"{module}.{name}({argument})",
                        {minor: argument in each for minor, each in calls.items()},
                    )
    return found


def keep(found: dict[str, tuple[int, int]], name: str, have: Mapping[int, bool]) -> None:
    """Notes a thing that came or went; not one that comes and goes, which says more about the interpreters than about Python."""
    minors = [minor for minor, there in have.items() if there]
    if not minors or len(minors) == len(have):
        return
    first, last = minors[0], minors[-1]
    known = sorted(have)
    if minors == [minor for minor in known if first <= minor <= last]:
        found[name] = (first if first > known[0] else OLDEST, last if last < known[-1] else NEWEST)


if __name__ == "__main__":
    main(sys.argv[1:])
