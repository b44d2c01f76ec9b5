"""`build --report` and `--trace`: writes the page and the trace of a build, of one that is refused as too large, too."""

from __future__ import annotations

import argparse

from modelcrate.cli import build_options
from modelcrate.cli.console import Console
from modelcrate.events import ignore_event
from modelcrate.pipeline.session import Build
from modelcrate.pipeline.size_limit import ImageSizeError
from modelcrate.project.byte_sizes import format_size
from modelcrate.reports.files import check_target, write_file
from modelcrate.reports.pages import Page, page_of_build, page_of_refused, place_in_map
from modelcrate.reports.timeline import Recorder, chrome_trace


def build_and_report(args: argparse.Namespace, console: Console) -> Build:
    """Builds the project, and writes what the options name. Returns the build.

    Raises:
        LimitError: The image is too large. If it was made, the page shows it, and the message names the place in the map.
    """
    for path in filter(None, (args.report, args.trace)):
        check_target(path)
    recorder = Recorder(console.emit)
    try:
        build = build_options.build(args, console, recorder.emit)
    except ImageSizeError as fault:
        if args.report is not None:
            page = page_of_refused(
                args.project.resolve().name, fault, console.config, ignore_event, recorder.timeline()
            )
            write_file(args.report, page.data)
            fault.hint += f"\nsee {args.report}{place_in_map(fault.image, fault.layer)}"
        _write_trace(args, recorder)
        raise
    timeline = recorder.timeline()
    if args.report is not None:
        page = page_of_build(build, console.connections, ignore_event, timeline)
        write_file(args.report, page.data)
        console.print_message(_written(args, page))
    _write_trace(args, recorder)
    return build


def _write_trace(args: argparse.Namespace, recorder: Recorder) -> None:
    if args.trace is not None:
        write_file(args.trace, chrome_trace(recorder.timeline()))


def _written(args: argparse.Namespace, page: Page) -> str:
    return f"written {args.report}, {format_size(len(page.data))}"
