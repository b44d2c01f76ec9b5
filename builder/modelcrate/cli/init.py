"""Look through a folder and write what was found into modelcrate.yaml: entry script, dependencies, models."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli.console import Console
from modelcrate_layers.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", default=".", type=Path, help="the folder (default: this one)")
    parser.add_argument("--force", action="store_true", help="replace a project file that is there")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.pipeline.detect import detect, refuse_inside_model
    from modelcrate.project.values import FILE_NAME
    from modelcrate.project.writing import project_text
    from modelcrate_layers.atomic import write_file
    from modelcrate_layers.store import as_machine_error

    path = args.folder / FILE_NAME
    if path.exists() and not args.force:
        raise UserError("is there already", where=str(path), hint="edit it, or replace it with --force")
    project, findings = detect(args.folder)
    refuse_inside_model(project, args.folder, "project file")
    with as_machine_error(path):
        write_file(path, project_text(project).encode())
    found = [{"what": each.what, "path": str(each.path), "why": each.why} for each in findings]
    text = "\n".join([*(f"detected {each}" for each in findings), f"wrote {path}"])
    console.result({"file": str(path), "detected": found}, text)
    return 0
