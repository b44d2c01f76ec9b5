"""Build and start the container of Azure's deployment YAML on this machine, as az ml online-deployment create --local does with Docker.

The service gets the name ENDPOINT-DEPLOYMENT. A service that has it is replaced, once the image is built. `ps`, `logs`, `exec`, `stop` and `rm` know it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli.console import Console
from modelcrate.cli.workspace_options import workspace, workspace_argument
from modelcrate_layers.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the YAML of an online deployment")
    parser.add_argument("--local", action="store_true", help="on this machine; there is no other place")
    parser.add_argument("--name", help="the name of the service (default: ENDPOINT-DEPLOYMENT)")
    parser.add_argument("-p", "--port", type=int, help="the port of 127.0.0.1 (default: any free one)")
    parser.add_argument(
        "--wait", type=float, default=600.0, metavar="SECONDS", help="how long to wait for an answer (default: 600)"
    )
    workspace_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.azureml.deployment import LocalWebserviceDeploymentConfiguration
    from modelcrate.azureml.local_deployment import PORT, deploy
    from modelcrate.azureml.v2_projects import read_project
    from modelcrate.containers import container_name
    from modelcrate.containers.ready import wait_ready
    from modelcrate.events import Notice
    from modelcrate.pipeline.request import Request

    if not args.local:
        raise UserError(
            "a cloud's machines are not deployed to from here",
            hint="--local deploys to this machine; or build and push the image, and start it there",
        )
    LocalWebserviceDeploymentConfiguration(args.port)
    backend = workspace(args, console.connections)
    found = read_project(args.file, backend)
    for each in (*found.made.notices, *(f"not taken over: {each}" for each in found.deployment.not_taken)):
        console.emit(Notice(each))
    said = found.deployment
    name = args.name or container_name("-".join(part for part in (said.endpoint, said.name) if part))
    facts = {
        "workspace": backend.address,
        "models": [str(each) for each in found.made.project.models],
        "deployment": str(said.file.absolute()),
        "port": found.scoring.port if found.scoring else PORT,
        **({"health": found.health.path} if found.health else {}),
        **({"scoring": found.scoring.path} if found.scoring else {}),
    }
    request = Request(found.made.project, found.folder, use_lock=False)
    service = deploy(request, name, args.port, facts, console.config, console.emit, found.made.logins)
    wait_ready(service.container, found.health.path if found.health else "/", args.wait)
    uri = f"http://localhost:{service.port}{facts.get('scoring', '/score')}"
    result = {"name": name, "port": service.port, "scoring_uri": uri, "digest": service.digest}
    console.print_result(result, f"{name}: {uri}")
    return 0
