"""Send an image its golden requests, and compare the answers. The requests are beside the image, or in the project that --project names.

The image is started on this machine without a container engine, and removed afterwards.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from modelcrate.cli.console import Console
from modelcrate.cli.variant_option import variant_argument
from modelcrate.render.text import format_table
from modelcrate_layers.errors import IntegrityError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE|PROJECT", help="the image's address, or a folder, which is built first")
    variant_argument(parser)
    parser.add_argument("--project", type=Path, metavar="PATH", help="take the golden requests of a project")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.pipeline.asking import run_tests

    with console.session() as session:
        verdicts = run_tests(args.image, session, args.project, args.variant)
    rows = [(each.name, "WRONG" if each.differences else "ok", f"{each.seconds * 1000:.0f} ms") for each in verdicts]
    wrong = [each for each in verdicts if each.differences]
    notes = [f"{each.name}: {difference}" for each in wrong for difference in each.differences]
    console.print_result(
        [asdict(each) for each in verdicts], "\n".join([format_table([("REQUEST", "ANSWER", "TIME"), *rows]), *notes])
    )
    requests = "request" if len(verdicts) == 1 else "requests"
    console.print_message(f"{len(verdicts)} golden {requests}, {len(wrong)} with another answer")
    return IntegrityError.exit_code if wrong else 0
