"""Find the entry script, the dependencies and the models in a folder, and write modelcrate.yaml.

With --from FILE, write it from the configuration of another tool: cog.yaml, bentofile.yaml, Kitfile, Truss's config.yaml, MLmodel, Modelfile,
the YAML of Azure's CLI v2 (an online deployment, a model or an environment, with the files it refers to; `azureml:NAME:VERSION` is looked
for in the workspace), or the inferenceconfig.json and deploymentconfig.json of its CLI v1. What becomes of each key is listed. Paths of a project can't leave its folder, so without FOLDER the file is written
beside FILE, or into the deepest folder that has all of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli.console import Console
from modelcrate.cli.workspace_options import workspace, workspace_argument


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="?", type=Path, help="the folder (default: this one; with --from, that of the file)"
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="another tool's configuration; Dockerfile: take over your changes to the one that -o dockerfile:DIR wrote into this folder",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing project file")
    workspace_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    if args.source is not None:
        return _from_configuration(args, console)
    from modelcrate.pipeline.detection.detect import write_project

    path, findings = write_project(args.folder or Path(), force=args.force)
    found = [{"what": each.what, "path": str(each.path), "why": each.why} for each in findings]
    text = "\n".join([*(f"detected {each}" for each in findings), f"wrote {path}"])
    console.print_result({"file": str(path), "detected": found}, text)
    return 0


def _from_configuration(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.importers import read_configuration
    from modelcrate.importers.imported import write_imported

    found = read_configuration(args.source, lambda: workspace(args, console.connections), args.folder)
    own, *others = write_imported(found, force=args.force)
    facts = {
        "file": str(own),
        "files": [str(each) for each in others],
        "tool": found.tool,
        "taken": list(found.taken),
        "not_taken": list(found.not_taken),
        "notices": list(found.notices),
        "missing": list(found.missing),
    }
    console.print_result(facts, "\n".join([*found.lines(), *(f"wrote {each}" for each in (*others, own))]))
    return 0
