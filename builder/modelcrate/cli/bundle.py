"""Carry images over an air gap: one file, or parts, with all that is beside the images; their digests stay what they are.

    modelcrate bundle inventory registry.inside/team/sums -o inventory.json      # over there
    modelcrate bundle create -o sums.bundle --for inventory.json registry.example/team/sums:2
    modelcrate bundle load sums.bundle --to registry:registry.inside --key cosign.pub      # over there

An inventory says what the other side has, and is left out; of a model that is there in an earlier version, what changed is sent.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from modelcrate.cli.console import Console
from modelcrate.project.byte_sizes import format_size, parse_size
from modelcrate.render.text import counted, format_table


def arguments(parser: argparse.ArgumentParser) -> Sequence[argparse.ArgumentParser]:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    made = {name: actions.add_parser(name, help=text, description=text) for name, (text, _) in _ACTIONS.items()}
    made["inventory"].add_argument(
        "place", nargs="+", metavar="PLACE", help="HOST/REPOSITORY, HOST for all that a registry lists, or `store`"
    )
    made["inventory"].add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where to write it")
    made["create"].add_argument("image", nargs="+", metavar="IMAGE", help="images of registries or of the local store")
    made["create"].add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the bundle")
    made["create"].add_argument(
        "--for", dest="inventory", type=Path, metavar="FILE", help="an inventory: what is in it is left out"
    )
    made["create"].add_argument("--split", metavar="SIZE", help="write parts of this size, such as 4GB: FILE.001, ...")
    made["create"].add_argument(
        "--with",
        dest="additions",
        action="append",
        default=[],
        metavar="WHAT,...",
        help="what it has besides: wheels, debs, conda, base (those of the locks beside the images, for builds over there), modelcrate=FILE; "
        "and what has to be beside the images: lock, sbom, signatures, golden",
    )
    made["load"].add_argument("bundle", type=Path, metavar="FILE", help="the bundle, or one of its parts")
    made["load"].add_argument(
        "--to", required=True, metavar="PLACE", help="registry:HOST[/PREFIX], or `store`: the local store"
    )
    made["load"].add_argument(
        "--key",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="load nothing that this public key did not sign",
    )
    made["load"].add_argument("--policy", type=Path, metavar="FILE", help="load nothing that this policy refuses")
    made["show"].add_argument("bundle", type=Path, metavar="FILE", help="the bundle, or one of its parts")
    return list(made.values())


def run(args: argparse.Namespace, console: Console) -> int:
    _ACTIONS[args.action][1](args, console)
    return 0


def _inventory(args: argparse.Namespace, console: Console) -> None:
    from modelcrate.bundles.inventory import take_inventory
    from modelcrate_layers.atomic import write_file
    from modelcrate_layers.store import as_machine_error

    found = take_inventory(args.place, console.connections, console.emit)
    with as_machine_error(args.output):
        write_file(args.output.absolute(), found.json())
    size = sum(each.size for each in found.blobs.values())
    facts = {"file": str(args.output), "images": len(found.images), "blobs": len(found.blobs), "size": size}
    text = f"{found.place}: {counted(len(found.images), 'image')}, {counted(len(found.blobs), 'blob')}, {format_size(size)}"
    console.print_result(facts, f"{text}\nwrote {args.output}")


def _create(args: argparse.Namespace, console: Console) -> None:
    from modelcrate.bundles.additions import Additions
    from modelcrate.bundles.create import create_bundle
    from modelcrate.bundles.inventory import read_inventory

    inventory = read_inventory(args.inventory) if args.inventory is not None else None
    part = parse_size(args.split) if args.split is not None else None
    additions = Additions.parse(args.additions)
    made = create_bundle(args.image, args.output, console.connections, console.emit, inventory, part, additions)
    facts = {
        "files": [str(path) for path in made.paths],
        "size": made.size,
        "images": {name: str(digest) for name, digest in made.images.items()},
        "left_out": made.left_out,
        "rebuilt": made.rebuilt,
        "packages": made.packages,
    }
    lines = [format_table([(name, str(digest)) for name, digest in made.images.items()])]
    if made.left_out:
        lines.append(f"left out, because it is there: {format_size(made.left_out)}")
    if made.packages:
        lines.append(f"for builds over there: {counted(made.packages, 'package')}")
    if made.rebuilt:
        lines.append(f"sent as what changed: layers of {format_size(made.rebuilt)}")
    files = f"{made.paths[0]}" if len(made.paths) == 1 else f"{made.paths[0]} to {made.paths[-1].name}"
    console.print_result(facts, "\n".join([*lines, f"wrote {files}, {format_size(made.size)}"]))


def _load(args: argparse.Namespace, console: Console) -> None:
    from modelcrate.bundles.load import load_bundle
    from modelcrate.security.signing.requirements import signature_check

    check = signature_check(args.key, args.policy)
    done = load_bundle(args.bundle, args.to, console.connections, console.emit, check)
    facts = [
        {"target": each.target, "digest": str(each.digest), "sent": each.sent, "reused": each.reused} for each in done
    ]
    rows = [(each.target, str(each.digest), f"{format_size(each.sent)} written") for each in done]
    console.print_result(facts, format_table(rows))
    if check is None:
        console.print_message("signatures were not asked for (--key, --policy); all digests are right")


def _show(args: argparse.Namespace, console: Console) -> None:
    from modelcrate.bundles.bundle import Bundle

    bundle = Bundle.open(args.bundle)
    left = sum(each.size for each in bundle.notes.left_out.values())
    images = {name: str(each.digest) for name, each in bundle.images.items()}
    tools = {name: str(each.digest) for name, each in bundle.notes.tools.items()}
    packages = [each.filename for each in bundle.notes.packages]
    facts = {
        "images": images,
        "size": bundle.parts.size,
        "made_for": bundle.notes.place,
        "left_out": left,
        "packages": packages,
        "tools": tools,
    }
    rows = [
        format_table(list(images.items())),
        f"{counted(len(bundle.parts.files), 'file')}, {format_size(bundle.parts.size)}",
    ]
    if packages:
        rows.append(f"for builds: {counted(len(packages), 'package')}")
    rows += [f"tools/{name}  {digest}" for name, digest in tools.items()]
    if left:
        rows.append(f"made for {bundle.notes.place}, which has {format_size(left)} that are not in it")
    console.print_result(facts, "\n".join(rows))


_ACTIONS = {
    "inventory": ("write down what a registry or the local store has", _inventory),
    "create": ("write images and what is beside them into a file", _create),
    "load": ("write the images of a bundle into a registry or the local store", _load),
    "show": ("show what a bundle has", _show),
}
"""The actions: what they do, and the function that does it."""
