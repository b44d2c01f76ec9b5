"""Print the file with which an orchestrator runs an image: pinned by its digest, with the ports, probes and user that the image names.

Formats: k8s (a Deployment and a Service; a Job for a program without a port), kserve (an InferenceService), compose, aci (Azure Container
Instances), cloudrun (Google Cloud Run), systemd (a unit that starts it by modelcrate alone) and quadlet (podman).
"""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console
from modelcrate.cli.transfer import platform_argument
from modelcrate_layers.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("format", metavar="FORMAT", help="k8s, kserve, compose, aci, cloudrun, systemd or quadlet")
    parser.add_argument("image", metavar="REFERENCE", help="the image's address in a registry")
    parser.add_argument("--name", default="", help="what the container is called (default: the repository's last part)")
    parser.add_argument(
        "--memory", metavar="SIZE", help="memory, such as 2GiB (default: 512 MiB and twice the size of the models)"
    )
    parser.add_argument("--cpus", type=float, default=1.0, metavar="N", help="processors, such as 0.5 (default: 1)")
    platform_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.export.deployment import describe_deployment
    from modelcrate.export.manifests import FORMATS, write_manifest
    from modelcrate.images.reference import Reference, has_host
    from modelcrate.project.byte_sizes import parse_size
    from modelcrate.transports.addresses import find

    if args.format not in FORMATS:
        raise UserError(f"no such format: {args.format[:80]!r}", hint=f"expected one of {', '.join(FORMATS)}")
    address = args.image.removeprefix("registry:")
    if not has_host(address):
        raise UserError(
            f"not an address in a registry: {address[:80]!r}",
            hint="clusters fetch images from registries: modelcrate push NAME HOST/REPOSITORY:TAG, then name that",
        )
    reference = Reference.parse(address)
    found = find(reference, console.connections)
    image = found.read()
    if args.platform is not None:
        image = found.image(args.platform, args.variant)
    elif args.variant:
        image = found.variant(args.variant)
        find(
            reference.at(image.digest), console.connections
        )  # an index of theirs is there where they were pushed with a tag
    memory = parse_size(args.memory) if args.memory is not None else None
    deployment = describe_deployment(image.images, reference.at(image.digest), args.name, memory, args.cpus)
    text = write_manifest(args.format, deployment)
    console.print_result({"format": args.format, "image": deployment.image, "manifest": text}, text.rstrip("\n"))
    return 0
