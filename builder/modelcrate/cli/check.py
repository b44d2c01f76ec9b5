"""Check whether the image of a project would start, without building it.

The command resolves the packages without fetching them. It checks the project, its models, and the modules that the entry script and
pickled models import, against the contents that the image would have.
"""

from __future__ import annotations

import argparse

from modelcrate.cli import build_options
from modelcrate.cli.console import Console
from modelcrate.render.text import counted


def arguments(parser: argparse.ArgumentParser) -> None:
    build_options.project_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    with console.session() as session:
        prepared = session.prepare(session.read(args.project))
    project, world = prepared.request.project, prepared.world
    facts = {
        "project": project.name,
        "platforms": [str(each.platform) for each in world.platforms],
        "python": next((each.target.minor for each in world.platforms if each.target is not None), None),
        "packages": world.packages,
        "models": [str(model.name) for model in project.models],
        "entry": str(project.entry.file) if project.entry is not None else None,
    }
    about = f"{counted(len(world.packages), 'package')}, {counted(len(project.models), 'model')}"
    text = f"{project.name}: the image can be built; {about}; next: modelcrate build {args.project}"
    console.print_result(facts, text)
    return 0
