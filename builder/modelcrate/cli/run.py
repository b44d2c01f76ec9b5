"""Start an image without a container engine: by an installed OCI runtime, else in namespaces, else in a chroot."""

from __future__ import annotations

import argparse
import sys

from modelcrate.cli.console import Console
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", help="the image's address")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to start instead of the image's own command")
    parser.add_argument(
        "-p",
        "--publish",
        action="append",
        default=[],
        metavar="HOST:CONTAINER",
        help="reach a port of the container on 127.0.0.1:HOST",
    )
    parser.add_argument("-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="set a variable")
    parser.add_argument(
        "-d", "--detach", action="store_true", help="leave it running in the background, once it answers"
    )
    parser.add_argument("--name", default="", help="what the container is called (default: the image's name)")
    parser.add_argument("--user", default="", help="UID[:GID] instead of the image's")
    parser.add_argument("--read-only", action="store_true", help="nothing but /tmp can be written")
    parser.add_argument("--platform", type=Platform.parse, help="which image of an index")
    parser.add_argument("--engine", default="", help="runc, crun, namespaces or chroot (default: the first that works)")
    parser.add_argument("--keep", action="store_true", help="keep the unpacked root folder after the end")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.containers import Port, RunOptions, attach, container_name, start, wait_ready
    from modelcrate.home.home_lock import shared_home_lock
    from modelcrate.transports.addresses import find

    image = find(args.image, console.connections).image(args.platform)
    options = RunOptions(
        args.name or container_name(args.image),
        console.config.containers,
        tuple(Port.parse(text) for text in args.publish),
        dict(_variable(text) for text in args.env),
        command=tuple(args.command) or None,
        entrypoint=() if args.command else None,
        user=args.user or None,
        engine=args.engine or "auto",
        read_only=args.read_only,
        keep=args.keep,
    )
    with shared_home_lock(console.config):
        container = start(image.settings, [layer.blob for layer in image.layers], options)
    state = container.state()
    for port in state.ports:
        console.say(f"{container.name}: 127.0.0.1:{port.host} -> {port.container}, by {state.engine}")
    if not args.detach:
        return attach(container, _pass_on)
    if state.ports:
        wait_ready(container)
    facts = {
        "name": container.name,
        "engine": state.engine,
        "ports": {str(port.container): port.host for port in state.ports},
    }
    console.result(facts, container.name)
    return 0


def _pass_on(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UserError(f"not a variable: {text!r}", hint="expected NAME=VALUE")
    return name, value
