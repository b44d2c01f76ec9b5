"""Start an image without a container engine: by an installed OCI runtime, else in namespaces.

A project (a path, or a folder that no image of the local store is named like) is built first.

COMMAND replaces the image's own entry point and command; with --entrypoint it is the arguments of that program. Ports are published on
127.0.0.1 only. Of an image for several platforms this machine's runs. The container has its own /proc, /sys and /dev, its own processes, no
capability over the machine, and a system call filter. --engine chroot is no container: a program of the image that runs as root can reach the
other processes of this machine, by signals and ptrace. It is never chosen by itself.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from modelcrate.cli.console import Console
from modelcrate.cli.container_options import process_arguments, variables
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import MachineError, SourceError, UserError

if TYPE_CHECKING:
    from modelcrate.containers import Container
    from modelcrate.images.image import Image
    from modelcrate.project.cdi import Edits


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE|PROJECT", help="the image's address, or a folder, which is built first")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to start instead of the image's own command")
    parser.add_argument(
        "-p",
        "--publish",
        action="append",
        default=[],
        metavar="HOST:CONTAINER",
        help="reach a port of the container on 127.0.0.1:HOST; 0 as HOST takes any free port",
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
    parser.add_argument("--platform", type=Platform.parse, help="which image of an index (default: this machine's)")
    parser.add_argument(
        "--engine",
        default="",
        help="runc, crun, namespaces or chroot (default: the first that works, but never chroot)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the unpacked root folder after the end")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.containers import Port, RunOptions, Volume, container_name, start
    from modelcrate.containers.limits import Limits, Restart
    from modelcrate.home.home_lock import shared_home_lock
    from modelcrate.images.image_config import health_path

    if args.wait is not None and not (args.wait >= 0 and args.detach and args.publish):
        raise UserError(
            "--wait takes a number of seconds, with --detach and a published port",
            hint="expected for instance: modelcrate run -d -p 8080:5001 --wait 60 IMAGE",
        )
    limits, restart = Limits.parse(args.memory, args.cpus), Restart.parse(args.restart)
    if restart.policy != "no" and not args.detach:
        raise UserError("--restart is for containers in the background", hint="say --detach too")
    _build(args, console)
    image = _find(args, console)
    edits = _edits(args, image, console)
    command = tuple(args.command)
    entrypoint: tuple[str, ...] | None = () if command else None
    if args.entrypoint is not None:
        entrypoint = (args.entrypoint,) if args.entrypoint else ()
    options = RunOptions(
        args.name or container_name(args.image),
        console.config.containers,
        tuple(Port.parse(text) for text in args.publish),
        {**edits.env, **variables(args, console.config.environment)},
        entrypoint=entrypoint,
        command=command or None,
        user=args.user,
        workdir=args.workdir,
        volumes=(*(Volume.parse(text) for text in args.volume), *edits.volumes),
        engine=args.engine or "auto",
        network=args.network,
        limits=limits,
        devices=edits.devices,
        restart=restart,
        read_only=args.read_only,
        keep=args.keep,
        remove=args.rm and args.detach,  # in the foreground we do it, once we have the exit code
        image=args.image,
        digest=str(image.digest),
        trees=console.config.unpacked,
    )
    with shared_home_lock(console.config):
        container = start(image.settings, [layer.blob for layer in image.layers], options)
    if args.detach:
        health = health_path(image.settings) or "/"
        return report(container, console, None if args.no_wait else args.wait, not args.no_wait, health)
    return foreground(container, console, remove=args.rm)


def _build(args: argparse.Namespace, console: Console) -> None:
    """Builds the image first, where the argument is a project; it is then the image of the project's name in the local store."""
    from dataclasses import replace

    from modelcrate.pipeline.asking import project_of
    from modelcrate.transports.store import StoreOutput

    project = project_of(args.image, console.config)
    if project is None:
        return
    with console.session() as session:
        request = session.read(project)
        session.build(replace(request, outputs=(StoreOutput(request.project.name),)))
        args.image = request.project.name


def report(container: Container, console: Console, wait: float | None, waits: bool, health: str = "/") -> int:
    """Says how a container in the background started.

    Args:
        container: the container.
        console: where to say it.
        wait: how many seconds the user demands an answer within; None for the usual time, without an error.
        waits: whether to wait for an answer at all.
        health: the path that answers with 2xx once it is ready.

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
            f"{container.name}: http://127.0.0.1:{port.host} is port {port.container} of it, by {state.engine}"
        )


def _edits(args: argparse.Namespace, image: Image, console: Console) -> Edits:
    """What the devices that were asked for bring, and NVIDIA's driver held against the CUDA that the image needs."""
    from modelcrate.containers.cuda import check_driver, installed_driver
    from modelcrate.images.image_config import environment
    from modelcrate.project.cdi import FOLDERS, find_devices, gpu_names

    names = [*args.device, *(gpu_names(args.gpus) if args.gpus is not None else ())]
    if any(name.startswith("nvidia.com/") for name in names):
        check_driver(environment(image.settings), installed_driver())
    return find_devices(names, console.config.environment.get("MODELCRATE_CDI_DIRS") or FOLDERS)


def _find(args: argparse.Namespace, console: Console) -> Image:
    """The image, and of several the one for this machine."""
    from modelcrate.containers.host import host_platform
    from modelcrate.transports.addresses import find

    found = find(args.image, console.connections)
    several, mine = len(found.members()) > 1, host_platform()
    try:
        image = found.image(args.platform or (mine if several else None))
    except SourceError as fault:
        if several:
            fault.hint = fault.hint or "name one of them with --platform"
        raise
    if image.platform.architecture != mine.architecture:
        console.print_message(
            f"the image is for {image.platform}, and this machine is {mine}: it needs an emulator to run"
        )
    return image
