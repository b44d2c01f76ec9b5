"""Which workspace a verb works with: the one that is named, the one of MODELCRATE_WORKSPACE, or a folder in modelcrate's home."""

from __future__ import annotations

import argparse

from modelcrate.home.settings import Settings
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


def workspace(args: argparse.Namespace, settings: Settings) -> WorkspaceBackend:
    named = args.workspace or settings.environment.get(VARIABLE, "")
    return open_workspace(named or f"folder:{settings.home / 'workspaces' / 'default'}", settings)
