"""Print the bill of materials of an image, or of the image of a project.

It is computed from the contents of the layers. The hashes of package files are included for a project, because its lock has them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.cli.console import Console
from modelcrate.cli.variant_option import variant_argument
from modelcrate.images.image import DEFAULT_VARIANT
from modelcrate.project.values import FILE_NAME
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import UserError

if TYPE_CHECKING:
    from modelcrate.security.sbom.inventory import Inventory


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE|PROJECT", help="the image's address, or a project's folder or file")
    parser.add_argument(
        "--format", choices=("spdx", "cyclonedx"), default="spdx", help="SPDX 2.3 or CycloneDX 1.6, both JSON"
    )
    parser.add_argument("--platform", help="the platform in an image for several, such as linux/arm64")
    variant_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.security.sbom import cyclonedx, spdx

    project = Path(args.image)
    of_project = (project / FILE_NAME).is_file() or project.is_file()
    if of_project:
        found = _of_project(project, args.platform, args.variant, console)
    else:
        from modelcrate.pipeline.image_inventory import read_inventory

        platform = Platform.parse(args.platform) if args.platform else None
        found = read_inventory(args.image, platform, args.variant, console.connections)
    value = (spdx if args.format == "spdx" else cyclonedx).document(found)
    console.print_result(value, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True))
    return 0


def _of_project(path: Path, platform: str | None, variant: str, console: Console) -> Inventory:
    from modelcrate.security.sbom.inventory import inventory

    with console.session() as session:
        build = session.build(session.read(path).for_variant(variant or DEFAULT_VARIANT))
        image = build.receipt.image
        wanted = platform or str(image.images[0].platform)
        found = next((each for each in image.images if str(each.platform) == wanted), None)
        if found is None:
            raise UserError(
                f"the project is not built for {wanted}",
                hint="name one of its platforms, or add it to `platforms:` in the project file",
            )
        return inventory(build.receipt.name, found, console.config, build.prepared.pins.get(found.label))
