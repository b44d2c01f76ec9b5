"""List the tags of a repository."""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console
from modelcrate_layers.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", help="HOST/REPOSITORY")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.images.reference import Reference

    repository = Reference.parse(args.repository)
    if repository.tag or repository.digest:
        raise UserError(
            f"not a repository: {args.repository!r}", hint="expected HOST/REPOSITORY, without tag and digest"
        )
    tags = console.connections.registries.tags(repository)
    console.print_result({"repository": args.repository, "tags": tags}, "\n".join(tags))
    return 0
