"""Write modelcrate.lock: the base, the packages and the models of a project, pinned by their digests, without host names.

The lock is written beside the project file. build uses it; build --locked fails if it does not fit.
"""

from __future__ import annotations

import argparse

from modelcrate.cli import build_options
from modelcrate.cli.console import Console
from modelcrate.pipeline.detection.detect import refuse_inside_model
from modelcrate.render.text import counted
from modelcrate.resolve.lock import FILE_NAME, read_lock, write_lock
from modelcrate_layers.errors import LockedError


def arguments(parser: argparse.ArgumentParser) -> None:
    build_options.project_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    with console.session() as session:
        request = session.read(args.project)
        refuse_inside_model(request.project, request.folder, "lock")
        lock = session.lock(request)
    path = request.folder / FILE_NAME
    try:
        same = read_lock(path) == lock
    except LockedError:
        same = False
    write_lock(path, lock)
    pinned = [each.counts() for each in lock.pins.values()]
    sums = {section: sum(each[section] for each in pinned) for section in pinned[0]} | {"models": len(lock.models)}
    facts = {"lock": str(path), "changed": not same, **sums}
    nouns = (("debs", "Debian package"), ("wheels", "wheel"), ("models", "model"))
    listed = ", ".join(counted(sums[section], noun) for section, noun in nouns)
    text = f"{path}: {listed}, {'as before' if same else 'changed'}"
    console.print_result(facts, text)
    return 0
