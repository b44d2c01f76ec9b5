"""Show what of an image is behind its sources: Debian's packages against the release's signed lists, wheels against the index, and the base.

--advisories names lists of vulnerabilities on this machine: advisories in OSV's format (files, or a folder of them), or the export of Debian's
tracker. Nothing is sent anywhere for that.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcrate.cli.console import Console
from modelcrate.cli.transfer import platform_argument
from modelcrate.render.text import counted, format_table
from modelcrate_layers.errors import IntegrityError

if TYPE_CHECKING:
    from modelcrate.maintenance.outdated import Report

SHOWN = 4
"""Vulnerabilities of a package that a line has; `--json` has all."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="the image's address")
    parser.add_argument(
        "--advisories",
        action="append",
        default=[],
        type=Path,
        metavar="PATH",
        help="a list of vulnerabilities; may be given several times",
    )
    parser.add_argument(
        "--check", action="store_true", help="end with exit code 5 if something is behind or vulnerable"
    )
    platform_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.maintenance.advisories import read_advisories
    from modelcrate.maintenance.outdated import find_outdated
    from modelcrate.transports.addresses import find

    advisories = read_advisories(args.advisories)
    image = find(args.image, console.connections).image(args.platform, args.variant)
    report = find_outdated(args.image, image, advisories, console.connections, datetime.now(UTC), console.emit)
    for text in report.notices:
        console.print_message(text)
    console.print_result(_facts(report), _text(report, bool(args.advisories)))
    return IntegrityError.exit_code if args.check and (report.findings or report.base) else 0


def _facts(report: Report) -> dict[str, Any]:
    return {
        "packages": report.packages,
        "findings": [
            {
                "kind": each.kind,
                "name": each.name,
                "version": each.version,
                "newest": each.newest or None,
                "advisories": [{"id": one.id, "fixed": one.fixed or None} for one in each.advisories],
            }
            for each in report.findings
        ],
        "base": {"name": report.base_name, "newest": report.base or None} if report.base_name else None,
        "notices": list(report.notices),
    }


def _text(report: Report, searched: bool) -> str:
    rows = [("", "PACKAGE", "HAS", "NEWEST", "VULNERABLE" if searched else "")]
    for each in report.findings:
        ids = [f"{one.id}{f' (fixed in {one.fixed})' if one.fixed else ''}" for one in each.advisories]
        more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
        rows.append((each.kind, each.name, each.version, each.newest or "-", ", ".join(ids[:SHOWN]) + more))
    behind = sum(bool(each.newest) for each in report.findings)
    affected = f", {sum(bool(each.advisories) for each in report.findings)} vulnerable" if searched else ""
    lines = [format_table(rows)] if report.findings else []
    lines.append(f"{counted(report.packages, 'package')}: {behind} behind{affected}")
    if report.base:
        lines.append(
            f"the base {report.base_name} is {report.base} now: modelcrate rebase IMAGE --onto {report.base_name}"
        )
    return "\n".join(lines)
