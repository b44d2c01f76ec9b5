"""Start an image without a container engine: by an installed OCI runtime, else in namespaces.

A project (a path, or a folder that no image of the local store is named like) is built first.

COMMAND replaces the image's own entry point and command; with --entrypoint it is the arguments of that program. Ports are published on
127.0.0.1, unless another address is named. Of an image for several platforms this machine's runs. The container has its own /proc, /sys and /dev, its own processes, no
capability over the machine, and a system call filter. --engine chroot is no container: a program of the image that runs as root can reach the
other processes of this machine, by signals and ptrace. It is never chosen by itself.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from modelcrate.cli.console import Console
from modelcrate.cli.container_options import process_arguments, variables
from modelcrate.cli.variant_option import variant_argument
from modelcrate_layers.errors import MachineError, UserError

if TYPE_CHECKING:
    from modelcrate.containers import Container


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE|PROJECT", help="the image's address, or a folder, which is built first")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to start instead of the image's own command")
    parser.add_argument(
        "-p",
        "--publish",
        action="append",
        default=[],
        metavar="[ADDRESS:]HOST:CONTAINER",
        help="reach a port of the container on this machine's port HOST, by default on 127.0.0.1; 0 as HOST takes any free port",
    )
    parser.add_argument(
        "-v",
        "--volume",
        action="append",
        default=[],
        metavar="HOST:CONTAINER[:ro]",
        help="a folder or file of this machine in the container; with :ro it can't be written",
    )
    process_arguments(parser)
    parser.add_argument("--entrypoint", metavar="PROGRAM", help="the program instead of the image's entry point")
    parser.add_argument("-d", "--detach", action="store_true", help="leave it running in the background")
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        help="with --detach: how long to wait for an answer on the first port, and exit 6 without one (default: 60, and no error)",
    )
    waiting.add_argument("--no-wait", action="store_true", help="with --detach: wait for no answer")
    parser.add_argument("--name", default="", help="what the container is called (default: the image's name)")
    parser.add_argument("--rm", action="store_true", help="remove the container and its log after the end")
    parser.add_argument("--read-only", action="store_true", help="nothing but /tmp and mounted folders can be written")
    parser.add_argument(
        "--network", choices=("own", "host", "none"), default="own", help="its own network, this machine's, or none"
    )
    parser.add_argument(
        "--gpus", metavar="all|N|device=...", help="NVIDIA's cards, by the machine's CDI files (as root, with runc)"
    )
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="VENDOR/CLASS=NAME",
        help="a device that a CDI file of this machine describes, such as nvidia.com/gpu=0",
    )
    parser.add_argument("-m", "--memory", metavar="BYTES", help="how much memory it may have, such as 512m or 2g")
    parser.add_argument("--cpus", metavar="NUMBER", help="how many processors it may use, such as 2 or 0.5")
    parser.add_argument(
        "--restart",
        default="no",
        metavar="N|POLICY",
        help="with --detach: start it again at most N times when it fails; on-failure[:N], always or no",
    )
    parser.add_argument("--platform", metavar="OS/ARCH", help="which image of an index (default: this machine's)")
    variant_argument(parser)
    parser.add_argument(
        "--engine",
        default="auto",
        help="runc, crun, namespaces or chroot (default: the first that works, but never chroot)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the unpacked root folder after the end")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.containers import Port, container_name
    from modelcrate.images.image_config import health_path
    from modelcrate.pipeline.running import ContainerOptions, find_image, start_image
    from modelcrate_layers.frozen import replace

    if args.wait is not None and not (args.wait >= 0 and args.detach and args.publish):
        raise UserError(
            "--wait takes a number of seconds, with --detach and a published port",
            hint="expected for instance: modelcrate run -d -p 8080:5001 --wait 60 IMAGE",
        )
    wanted = ContainerOptions(
        command=args.command,
        entrypoint=args.entrypoint,
        user=args.user,
        workdir=args.workdir,
        volumes=args.volume,
        memory=args.memory,
        cpus=args.cpus,
        gpus=args.gpus,
        devices=args.device,
        network=args.network,
        restart=args.restart,
        read_only=args.read_only,
        keep=args.keep,
        remove=args.rm and args.detach,  # in the foreground we do it, once we have the exit code
        engine=args.engine,
        platform=args.platform,
        variant=args.variant,
    )
    ports = [Port.parse(text) for text in args.publish]
    options = wanted.read(args.name or "unnamed", ports, variables(args, console.config.environment), console.config)
    if options.restart.policy != "no" and not args.detach:
        raise UserError("--restart is for containers in the background", hint="say --detach too")
    devices, platform = wanted.device_names(), wanted.wanted_platform()
    with console.session() as session:
        address, image = find_image(args.image, session, platform, args.variant)
        named = options if args.name else replace(options, name=container_name(address))
        container = start_image(image, address, named, session, devices)
    if args.detach:
        wait = None if args.no_wait else args.wait
        return report(container, console, wait, not args.no_wait, health_path(image.settings))
    return foreground(container, console, remove=args.rm)


def report(container: Container, console: Console, wait: float | None, waits: bool, health: str | None = None) -> int:
    """Says how a container in the background started.

    Args:
        container: the container.
        console: where to say it.
        wait: how many seconds the user demands an answer within; None for the usual time, without an error.
        waits: whether to wait for an answer at all.
        health: the path that answers with 2xx once it is ready; None where any answer says so.

    Returns:
        The exit code.
    """
    from modelcrate.containers.ready import READY_AFTER, NotReadyError, wait_ready

    if not container.folder.is_dir():  # it has ended already, and was to be removed
        console.print_result({"name": container.name}, container.name)
        return 0
    state = container.state()
    _say_notes(container, console)
    facts: dict[str, Any] = {
        "name": container.name,
        "engine": state.engine,
        "ports": {str(port.container): port.host for port in state.ports},
    }
    code = 0
    if state.ports and waits:
        facts["ready"] = True
        try:
            wait_ready(container, health, READY_AFTER if wait is None else wait)
            name = container.name
            console.print_message(
                f"{name}: it answers; `modelcrate logs -f {name}` shows its log, `modelcrate stop {name}` ends it"
            )
        except NotReadyError as fault:
            console.print_message(str(fault))
            facts["ready"] = False
            code = 0 if wait is None else MachineError.exit_code
    console.print_result(facts, container.name)
    return code


def foreground(container: Container, console: Console, remove: bool = False, start: int = 0) -> int:
    """Shows a container's output until its end, from the byte `start` of its log on, and returns its exit code."""
    from modelcrate.containers import attach

    _say_notes(container, console)
    try:
        return attach(container, pass_on, start)
    finally:
        if remove:
            container.remove()


def pass_on(piece: bytes) -> None:
    """Writes bytes of a container to standard output as they are."""
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _say_notes(container: Container, console: Console) -> None:
    state = container.state()
    for note in state.notes:
        console.print_message(f"{container.name}: {note}")
    for port in state.ports:
        console.print_message(
            f"{container.name}: http://{port.reached} is port {port.container} of it, by {state.engine}"
        )
