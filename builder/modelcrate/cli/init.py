"""Find the entry script, the dependencies and the models in a folder, and write modelcrate.yaml.

With --from FILE.yml, write it from the YAML of Azure's CLI v2: a managed or Kubernetes online deployment, a model or an environment, with the
files it refers to. `azureml:NAME:VERSION` is looked for in the workspace. What an image can't have is listed. Paths of a project can't leave
its folder, so without FOLDER the file is written into the deepest folder that has all of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli.console import Console
from modelcrate.cli.workspace_options import workspace, workspace_argument

DOCKERFILE = "Dockerfile"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", type=Path, help="the folder (default: this one; with a YAML, its own)")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="Dockerfile|FILE.yml",
        help="Dockerfile: take over your changes to the one that -o dockerfile:DIR wrote into this folder; FILE.yml: read Azure's YAML",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing project file")
    workspace_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    if args.source and args.source != DOCKERFILE:
        return _from_azure(args, console)
    folder = args.folder or Path()
    if args.source:
        from modelcrate.project.dockerfile import import_dockerfile

        file = import_dockerfile(folder)
        console.print_result({"file": str(file), "detected": []}, f"wrote {file}")
        return 0
    from modelcrate.pipeline.detection.detect import write_project

    path, findings = write_project(folder, force=args.force)
    found = [{"what": each.what, "path": str(each.path), "why": each.why} for each in findings]
    text = "\n".join([*(f"detected {each}" for each in findings), f"wrote {path}"])
    console.print_result({"file": str(path), "detected": found}, text)
    return 0


def _from_azure(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.azureml.v2_projects import read_project, write_project

    found = read_project(Path(args.source), workspace(args, console.connections), args.folder)
    path = write_project(found, force=args.force)
    notices, left = list(found.made.notices), list(found.deployment.not_taken)
    lines = [*notices, *(f"not taken over: {each}" for each in left), f"wrote {path}"]
    console.print_result({"file": str(path), "notices": notices, "not_taken": left}, "\n".join(lines))
    return 0
