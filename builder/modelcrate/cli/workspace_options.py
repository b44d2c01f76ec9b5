"""Which workspace a verb works with: the one that is named, the one of MODELCRATE_WORKSPACE, or a folder in modelcrate's home."""

from __future__ import annotations

import argparse

from modelcrate.transports.connections import Connections
from modelcrate.workspace.backend import WorkspaceBackend
from modelcrate.workspace.opening import open_workspace

VARIABLE = "MODELCRATE_WORKSPACE"


def workspace_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-w",
        "--workspace",
        default="",
        metavar="PLACE",
        help=f"a folder, or HOST/PREFIX of a registry (default: {VARIABLE}, else a folder of modelcrate's own)",
    )


def workspace(args: argparse.Namespace, connections: Connections) -> WorkspaceBackend:
    named = args.workspace or connections.config.environment.get(VARIABLE, "")
    return open_workspace(named or f"folder:{connections.config.home / 'workspaces' / 'default'}", connections)
