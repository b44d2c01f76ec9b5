"""Give an image another model: the layers of the old one go, all other layers stay, and nothing is built.

    modelcrate swap-model registry.example/team/sums:1 --model ./retrained -o registry:registry.example/team/sums:2

The gates look at the new model. The golden requests beside the image are sent to it before anything is written, and it is not written if it
answers otherwise; --no-test leaves that out. The result takes the place of the image, unless -o names another one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli import attestation_options
from modelcrate.cli.console import Console
from modelcrate.cli.workspace_options import workspace, workspace_argument
from modelcrate.render.text import counted


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="the image's address")
    parser.add_argument(
        "--model", required=True, metavar="PATH|NAME:VERSION", help="a file or folder, or a registered model"
    )
    parser.add_argument(
        "--name", default="", metavar="NAME[:VERSION]", help="the model that goes, where the image has several"
    )
    parser.add_argument(
        "-o",
        "--output",
        default="",
        metavar="KIND:TARGET",
        help="where to write it (default: in the place of the image)",
    )
    parser.add_argument("--no-test", action="store_true", help="ask no golden requests")
    attestation_options.change_arguments(parser)
    workspace_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.pipeline.attest_changed import attest_changed
    from modelcrate.pipeline.swap_model import registered_or_path, swap_model
    from modelcrate.security.signing.naming import image_identity
    from modelcrate.transports.addresses import find, output_for

    output = output_for(args.image, args.output)
    model = registered_or_path(args.model)
    with console.session() as session:
        found = find(args.image, session.connections)
        registered = not isinstance(model, Path)
        place = workspace(args, session.connections).address if registered else ""
        done = swap_model(found, model, session, args.name, place, ask=not args.no_test)
        identity = image_identity(output.target)
        made = attest_changed(
            done.image, found, identity, session.config, attestation_options.read(args, session.config)
        )
        delivered = output.deliver(made, session.connections, session.emit)
    facts = {"target": delivered.target, "digest": str(done.image.digest), "sent": delivered.sent, "asked": done.asked}
    console.print_result(facts, f"{delivered.target}  {done.image.digest}")
    if done.asked:
        console.print_message(f"{counted(done.asked, 'golden request')} answered as before")
    else:
        console.print_message("no golden request was asked: nothing shows that the script and the new model fit")
    if not args.sign:
        console.print_message("signatures of the old image are not about this one: --sign KEY, or modelcrate sign")
    return 0
