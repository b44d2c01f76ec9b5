"""Run a script of Azure's SDK v1 unchanged: azureml.core and azureml.exceptions are modelcrate's classes in its process.

Nothing is installed, and nothing of Azure has to be. The exit code is the script's. What of the SDK is a cloud's service can be imported, and
says what to do instead where it is used; packages such as azureml.train can't be imported.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from modelcrate.cli.console import Console
from modelcrate_layers.errors import SourceError

RUNNER = "modelcrate.azureml.running"


def arguments(parser: argparse.ArgumentParser) -> Sequence[argparse.ArgumentParser]:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    text = "run a script of Azure's SDK v1"
    made = actions.add_parser("run", help=text, description=text)
    made.add_argument("script", help="the script")
    made.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="its arguments")
    return [made]


def run(args: argparse.Namespace, console: Console) -> int:
    if not Path(args.script).is_file():
        raise SourceError(
            "there is no such script", where=args.script, hint="expected: modelcrate azureml run SCRIPT.py [ARGUMENTS]"
        )
    sys.stdout.flush()
    sys.stderr.flush()
    environment = {**console.config.environment, **({"MODELCRATE_OFFLINE": "1"} if args.offline else {})}
    # -P: a module of the user's folder is not to be taken for one of ours before the script runs
    words = [sys.executable, "-P", "-m", RUNNER, args.script, *args.arguments]
    os.execve(sys.executable, words, environment)  # noqa: S606 - the process becomes the script's: its exit code, its signals
