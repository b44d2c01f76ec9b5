"""The option for the workspace. Without it, MODELCRATE_WORKSPACE counts, and else the workspace `default` in the user's data."""

from __future__ import annotations

import argparse

from modelcrate.transports.connections import Connections
from modelcrate.workspace.backend import WorkspaceBackend
from modelcrate.workspace.opening import VARIABLE, open_usual


def workspace_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the option."""
    parser.add_argument(
        "-w",
        "--workspace",
        default="",
        metavar="PLACE",
        help=f"a folder, or HOST/PREFIX of a registry (default: {VARIABLE}, else the workspace `default`)",
    )


def workspace(args: argparse.Namespace, connections: Connections) -> WorkspaceBackend:
    """Returns the workspace that a command works with."""
    return open_usual(args.workspace, connections)
