"""Write modelcrate.lock: the base, the packages and the models of a project, pinned by their digests, without host names.

The lock is written beside the project file. build uses it; build --locked fails if it does not fit.
"""

from __future__ import annotations

import argparse

from modelcrate.cli import build_options
from modelcrate.cli.console import Console
from modelcrate.pipeline.detect import refuse_inside_model
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
    counted = [each.counts() for each in lock.pins.values()]
    facts = {
        "lock": str(path),
        "changed": not same,
        **{section: sum(each[section] for each in counted) for section in counted[0]},
        "models": len(lock.models),
    }
    text = f"{path}: {facts['debs']} Debian packages, {facts['wheels']} wheels, {facts['models']} models, {'as before' if same else 'changed'}"
    console.print_result(facts, text)
    return 0
