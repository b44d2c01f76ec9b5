"""Compare two images: config, layers, packages, models, files, tensors. Layers that both images have are not fetched."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.cli.console import Console
from modelcrate.cli.page_files import write_page
from modelcrate.cli.variant_option import variant_argument
from modelcrate.render.text import format_table
from modelcrate.reports.files import check_target

if TYPE_CHECKING:
    from modelcrate.inspect.diff import Difference


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="IMAGE", help="an image's address")
    parser.add_argument("after", metavar="IMAGE", help="the address of the image to compare with")
    parser.add_argument("--platform", help="the platform in images for several, such as linux/arm64")
    variant_argument(parser)
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a page with a map of what differs, and each layer before and after",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.inspect.diff import diff
    from modelcrate.transports.addresses import find
    from modelcrate_layers.content import Platform

    if args.html is not None:
        check_target(args.html)
    platform = Platform.parse(args.platform) if args.platform else None
    before, after = (
        find(each, console.connections).image(platform, args.variant) for each in (args.before, args.after)
    )
    if args.html is not None:
        from modelcrate.reports.pages import page_of_two

        return write_page(page_of_two(args.before, before, args.after, after), args.html, str(after.digest), console)
    found = diff(before, after)
    facts = {
        "before": str(before.digest),
        "after": str(after.digest),
        "same": found.same,
        **{name: [_json(each) for each in getattr(found, name)] for name in _LEVELS},
    }
    console.print_result(facts, "\n".join(_text(found)))
    return 0


_LEVELS = ("config", "layers", "packages", "models", "files", "tensors")


def _json(each: object) -> object:
    return each if isinstance(each, str) else asdict(each)  # type: ignore[call-overload]


def _text(found: Difference) -> Iterator[str]:
    if found.same:
        yield "no difference"
        return
    yield from _section("config", [(each.name, each.before or "-", "->", each.after or "-") for each in found.config])
    yield from _section("layers", [(each.role, each.name, each.state, each.cause) for each in found.layers])
    yield from _section("packages", [(each,) for each in found.packages])
    yield from _section("models", [(each,) for each in found.models])
    yield from _section("files", [(_SIGNS[each.state], each.path, each.how) for each in found.files])
    tensors: list[tuple[str, ...]] = [
        (each.path.rpartition("/")[2], each.name, each.before or "-", "->", each.after or "-") for each in found.tensors
    ]
    yield from _section("tensors", tensors)


_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def _section(name: str, rows: list[tuple[str, ...]]) -> Iterator[str]:
    if rows:
        yield name
        yield from (f"  {line}" for line in format_table(rows).splitlines())
