"""Find the entry script, the dependencies and the models in a folder, and write modelcrate.yaml."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", default=".", type=Path, help="the folder (default: this one)")
    parser.add_argument(
        "--from",
        dest="source",
        choices=("Dockerfile",),
        help="take over your changes to the Dockerfile that -o dockerfile:DIR wrote into this folder",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing project file")


def run(args: argparse.Namespace, console: Console) -> int:
    if args.source:
        from modelcrate.project.dockerfile import import_dockerfile

        file = import_dockerfile(args.folder)
        console.print_result({"file": str(file), "detected": []}, f"wrote {file}")
        return 0
    from modelcrate.pipeline.detect import write_project

    path, findings = write_project(args.folder, force=args.force)
    found = [{"what": each.what, "path": str(each.path), "why": each.why} for each in findings]
    text = "\n".join([*(f"detected {each}" for each in findings), f"wrote {path}"])
    console.print_result({"file": str(path), "detected": found}, text)
    return 0
