"""Show the layers that a build would make: their keys, which are known already and why. Nothing is built."""

from __future__ import annotations

import argparse

from modelcrate.cli import building
from modelcrate.cli.console import Console
from modelcrate.cli.words import plan_json, plan_text
from modelcrate.registry.fetch import Fetcher

SUMMARY = "show what a build would do"


def arguments(parser: argparse.ArgumentParser) -> None:
    building.project_argument(parser)
    parser.add_argument(
        "--locked", action="store_true", help="plan what modelcrate.lock says, or fail and say how it differs"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    with Fetcher(console.settings.network, console.emit) as fetcher:
        prepared = building.prepare(args, console.settings, console.emit, fetcher)
    console.result(plan_json(prepared), plan_text(prepared))
    return 0
