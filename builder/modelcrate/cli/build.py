"""Build the image of a project and write it to the local store, or to the outputs of -o and --push.

Without a project file, modelcrate looks for an entry script with init and run, requirements and models in the folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli import build_options, result_files
from modelcrate.cli.console import Console
from modelcrate.render.text import receipt_text
from modelcrate.transports import is_stdout


def arguments(parser: argparse.ArgumentParser) -> None:
    build_options.project_argument(parser)
    build_options.output_arguments(parser)
    build_options.growth_arguments(parser)
    parser.add_argument(
        "--test",
        action="store_true",
        help="run the image first, and deliver it only if it answers the project's golden requests as expected",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write a page about the image and its build: what takes the room, what decided each layer, how long it took",
    )
    parser.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        help="write the times of the build for Chromium's trace viewer or Perfetto",
    )
    result_files.arguments(parser)
    build_options.batch_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    result_files.check(args)
    if args.each is not None:
        from modelcrate.cli.build_batch import build_each

        return build_each(args, console)
    if args.report is None and args.trace is None:
        receipt = build_options.build(args, console).receipt
    else:
        from modelcrate.cli.build_report import build_and_report

        receipt = build_and_report(args, console).receipt
    result_files.write(args, receipt)
    if any(is_stdout(each.kind, each.target) for each in receipt.outputs):  # standard output is taken
        console.print_message(receipt_text(receipt, reasons=args.verbose))
    else:
        console.print_result(receipt.json(), receipt_text(receipt, reasons=args.verbose))
    return 0
