"""Copy a file or folder out of a container, or into one.

    modelcrate cp CONTAINER:/PATH LOCAL
    modelcrate cp LOCAL CONTAINER:/PATH

A folder that is there gets the source in it; another name is made. `FOLDER/.` means what is in the folder. Links stay links, devices are left
out, and files belong to whoever runs this.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from modelcrate.cli.console import Console
from modelcrate.project.byte_sizes import format_size
from modelcrate.render.text import counted
from modelcrate_layers.errors import UserError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from modelcrate.containers.copying import Side


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="CONTAINER:/PATH|LOCAL", help="what is copied")
    parser.add_argument("target", metavar="LOCAL|CONTAINER:/PATH", help="where it goes")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.containers.copying import copy

    if _is_container(args.source) == _is_container(args.target):
        raise UserError(
            "one of the two has to be a container's path",
            hint="CONTAINER:/PATH is one; ./CONTAINER:/PATH is a file here",
        )
    with _side(args.source, console) as source, _side(args.target, console) as target:
        done = copy(source, target)
    if done.left_out:
        console.print_message(f"{done.left_out} devices, sockets or fifos were left out")
    facts = {"files": done.files, "size": done.size, "left_out": done.left_out}
    console.print_result(facts, f"{counted(done.files, 'file')}, {format_size(done.size)}")
    return 0


def _is_container(text: str) -> bool:
    """As docker reads it: a name without a slash, a colon, a path."""
    name, colon, _ = text.partition(":")
    return bool(colon and name) and "/" not in name and name != "."


def _side(text: str, console: Console) -> AbstractContextManager[Side]:
    from modelcrate.containers import find
    from modelcrate.containers.copying import container_side, machine_side

    if not _is_container(text):
        return machine_side(text)
    name, _, path = text.partition(":")
    return container_side(find(console.config.containers, name), path)
