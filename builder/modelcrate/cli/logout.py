"""Remove the saved credentials for a registry."""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("registry", help="HOST[:PORT]")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.registry.login import logout
    from modelcrate.transports.connections import registry_config

    kept = logout(args.registry, registry_config(console.config))
    text = f"forgot {args.registry} in {kept.where}" if kept else f"there was nothing to forget for {args.registry}"
    console.print_result({"registry": args.registry, "forgotten": kept.where if kept else None}, text)
    return 0
