"""List the tags of a repository."""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", help="HOST/REPOSITORY")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.images.reference import Reference

    tags = console.connections.registries.tags(Reference.parse(args.repository))
    console.print_result({"repository": args.repository, "tags": tags}, "\n".join(tags))
    return 0
