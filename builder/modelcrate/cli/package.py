"""Build the image of registered models, or with --dockerfile a folder with a Dockerfile, like Azure's Model.package.

Without an entry script, name exactly one model of a framework that needs none: scikit-learn, ONNX, XGBoost, LightGBM, MLflow,
Transformers. Without an output, the image is written into the workspace, under the name package and the current time.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.cli.console import Console
from modelcrate.cli.workspace_options import workspace, workspace_argument
from modelcrate.render.text import receipt_text

if TYPE_CHECKING:
    from modelcrate.azureml.inference_config import InferenceConfig
    from modelcrate.transports.output import Output
    from modelcrate.workspace.backend import WorkspaceBackend

NAME = "package"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="*", metavar="MODEL", help="NAME (the latest version) or NAME:VERSION")
    parser.add_argument("--entry-script", metavar="FILE", help="the script with init and run")
    parser.add_argument(
        "--source-directory", metavar="DIR", help="the folder of the script; all of it goes into the image"
    )
    parser.add_argument("--conda-file", metavar="FILE", help="a conda environment file")
    parser.add_argument("--requirements", metavar="FILE", help="a requirements file")
    parser.add_argument("--base-image", metavar="BASE", help="the base, as in a project file")
    parser.add_argument("--image-name", metavar="NAME", help=f"the image's name (default: {NAME})")
    parser.add_argument("--image-label", metavar="TAG", help="the image's tag (default: the current time)")
    parser.add_argument("--dockerfile", metavar="DIR", type=Path, help="write a folder with a Dockerfile instead")
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        metavar="KIND:TARGET",
        help="write the image to KIND:TARGET instead of the workspace",
    )
    workspace_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.azureml.projects import make_project
    from modelcrate.events import Notice
    from modelcrate.pipeline.request import Request
    from modelcrate.workspace.find import get_model
    from modelcrate.workspace.record import parse_model_id

    with console.session() as session:
        backend = workspace(args, session.connections)
        records = [get_model(backend, *parse_model_id(each)) for each in args.models]
        made = make_project(args.image_name or NAME, backend.address, records, _config(args))
        for notice in made.notices:
            console.emit(Notice(notice))
        request = Request(made.project, Path.cwd(), outputs=_outputs(args, backend), use_lock=False)
        receipt = session.build(request).receipt
    console.print_result(receipt.json(), receipt_text(receipt, reasons=args.verbose))
    return 0


def _config(args: argparse.Namespace) -> InferenceConfig | None:
    if args.entry_script is None:
        return None
    from modelcrate.azureml import Environment, InferenceConfig

    environment = Environment(NAME)
    if args.conda_file:
        environment = Environment.from_conda_specification(NAME, args.conda_file)
    elif args.requirements:
        environment = Environment.from_pip_requirements(NAME, args.requirements)
    environment.docker.base_image = args.base_image
    return InferenceConfig(args.entry_script, source_directory=args.source_directory, environment=environment)


def _outputs(args: argparse.Namespace, backend: WorkspaceBackend) -> tuple[Output, ...]:
    from modelcrate import transports

    named = [*args.output, *([f"dockerfile:{args.dockerfile}"] if args.dockerfile else [])]
    if named:
        return tuple(transports.parse(text) for text in named)
    tag = args.image_label or datetime.now(UTC).strftime("%Y%m%d%H%M%S")
    return (backend.image_output(args.image_name or NAME, tag),)
