"""The start of a container: a name claimed, layers unpacked, the root made ready, a supervisor begun; nothing is left where one of these fails."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelcrate.containers.container import GONE, Container, discard, locked
from modelcrate.containers.engine import candidates
from modelcrate.containers.forward import check_free
from modelcrate.containers.identity import Identity, identify
from modelcrate.containers.interpreter import start_module
from modelcrate.containers.layer_trees import make_root, remove_root
from modelcrate.containers.options import NOT_HELD_BY_CHROOT, RunOptions, Volume
from modelcrate.containers.places import check_working_folder, make_places
from modelcrate.containers.process import Process, process_of
from modelcrate.containers.processes import ProcessId, is_leftover, own_name
from modelcrate.containers.spec import SupervisorSpec
from modelcrate.containers.state import STOP, ContainerState
from modelcrate.images.removal import remove_path
from modelcrate.images.root_folder import MOUNT_POINTS, NEW, ContainerRoot, Parts, parts_of
from modelcrate_layers.content import Blob
from modelcrate_layers.errors import CrateError, IntegrityError, MachineError, UserError
from modelcrate_layers.frozen import replace
from modelcrate_layers.store import as_machine_error

BEGUN = ".new"
"""How the name of a folder begins that is being made."""

_CANT_START = "can't start a container"
_HOSTS = b"127.0.0.1\tlocalhost\n::1\tlocalhost\n"
_FAULTS = {kind.__name__: kind for kind in (UserError, IntegrityError, MachineError)}


def start(config: Mapping[str, Any], layers: Sequence[Blob], options: RunOptions) -> Container:
    """Unpacks the layers and starts what the image's config and the options say. The container lives on when this program ends.

    A name is free again once its container has ended; its log is then replaced. After any error nothing is left.

    Args:
        config: the image's config, parsed.
        layers: the image's layers, lowest first.
        options: the user's options.

    Returns:
        The container, while it runs.

    Raises:
        UserError: an option can't be fulfilled: the name runs, a port is taken, there is no such program or user.
        IntegrityError: the image is damaged or not what the specification says.
        MachineError: this machine can't do it.
    """
    process = process_of(config, options)
    engines, programs = candidates(options.engine)
    _check_machine(options)
    folder = _claim(options, process)
    try:
        with as_machine_error(folder, _CANT_START):
            make_root(layers, folder, None if options.keep else options.trees)
            identity, volumes, notes = prepare(folder / "rootfs", process, options.volumes, options.read_only)
            SupervisorSpec(
                options=replace(options, volumes=volumes),
                folder=folder,
                process=_with_home(process, identity),
                identity=identity,
                engines=engines,
                programs=programs,
                rootless=os.geteuid() != 0,
                notes=notes + _engine_notes(options),
            ).save()
            _supervise(folder)
    except BaseException:
        _abandon(folder)
        raise
    return Container(folder)


def start_again(container: Container, layers: Sequence[Blob]) -> None:
    """Starts a container that has ended, as it was started before. Its log goes on.

    Args:
        container: the container.
        layers: the image's layers; they are unpacked where the root folder was not kept.

    Raises:
        UserError: it runs.
        MachineError: its folder is damaged, or this machine can't start it.
    """
    folder = container.folder
    spec = container.spec()
    options, rootfs = spec.options, folder / "rootfs"
    with locked(folder):
        before = container.state()
        if before.status != "ended":
            raise UserError(
                f"the container {container.name} runs already",
                hint="modelcrate stop NAME ends it; --name starts another",
            )
        _check_machine(options)
        container.stop()  # what a crash left
        (folder / STOP).unlink(missing_ok=True)
        ContainerState("starting", ProcessId.own(), before.stop_signal, before.keep).save(folder)
    try:
        with as_machine_error(folder, _CANT_START):
            if not rootfs.is_dir():
                make_root(layers, folder, None if options.keep else options.trees)
            # a kept root was written to
            _, volumes, notes = prepare(rootfs, spec.process, options.volumes, options.read_only)
            options = replace(options, volumes=volumes)
            replace(spec, options=options, notes=notes + _engine_notes(options)).save()
            _supervise(folder)
    except BaseException:
        if not options.keep:
            remove_root(folder)
        before.save(folder)
        raise


def _check_machine(options: RunOptions) -> None:
    """Checks what a start takes of the machine, before anything is unpacked. UserError otherwise."""
    check_free(options.ports)
    options.devices.check()
    for volume in options.volumes:
        volume.check()


def _engine_notes(options: RunOptions) -> tuple[str, ...]:
    return (NOT_HELD_BY_CHROOT,) if options.engine == "chroot" else ()


def prepare(
    rootfs: Path, process: Process, volumes: Sequence[Volume], read_only: bool
) -> tuple[Identity, tuple[Volume, ...], tuple[str, ...]]:
    """Makes a root folder ready for every engine: mount points that are real folders, the working folder, /tmp, a name for localhost.

    Returns:
        The user's numbers; the volumes by their real paths in the root; and a note for each thing of the image that was replaced.
    """
    notes: list[str] = []
    with ContainerRoot(rootfs) as root:
        identity = identify(root, process.user)
        for parts in (*MOUNT_POINTS, *(((b"tmp",),) if read_only else ())):
            if root.mount_point(parts)[1]:
                notes.append(f"/{parts[0].decode()} of the image was no folder; it was replaced by one")
        _make_files(root)
        cwd = _make_working_folder(root, process.cwd)
        found = make_places(root, volumes, notes)
        check_working_folder(cwd, found)
    return identity, found, tuple(notes)


def _make_working_folder(root: ContainerRoot, cwd: str) -> Parts:
    try:
        path = parts_of(os.fsencode(cwd))
        real = root.make_folder(path)
    except IntegrityError as fault:
        raise IntegrityError(f"the image's WorkingDir can't be a folder: {cwd[:80]!r}", why=fault.what) from None
    if real[:1] in MOUNT_POINTS:  # /proc/self/fd/N was a way out of runc (CVE-2024-21626)
        raise IntegrityError(f"the image's WorkingDir is below a folder that the engine makes: {cwd[:80]!r}")
    return real


def _make_files(root: ContainerRoot) -> None:
    """A /tmp and an /etc/hosts where the image has none."""
    with suppress(FileExistsError):
        place = root.place((b"tmp",))
        os.mkdir(place.name, dir_fd=place.folder)
        os.chmod(place.name, 0o1777, dir_fd=place.folder)  # noqa: S103 - as everywhere
    root.make_folder((b"etc",))
    place = root.place((b"etc", b"hosts"))
    with suppress(FileExistsError):
        fd = os.open(place.name, NEW, 0o644, dir_fd=place.folder)
        with os.fdopen(fd, "wb") as file:
            file.write(_HOSTS)
            os.fchmod(fd, 0o644)


def _claim(options: RunOptions, process: Process) -> Path:
    """Makes the name's folder: beside, with its state in it, and renamed, which only one process can do."""
    folder = options.state_dir.absolute() / options.name
    beside = folder.with_name(own_name(BEGUN))
    try:
        with as_machine_error(folder, "can't make the container's folder"):
            _clear_leftovers(folder.parent)
            beside.mkdir(mode=0o700, parents=True)
            (beside / "log").touch(0o600)
            ContainerState("starting", ProcessId.own(), process.stop_signal, options.keep).save(beside)
            for last in (False, True):
                with suppress(OSError):
                    beside.rename(folder)
                    return folder
                if not last:
                    _clear_ended(folder)
    finally:
        remove_path(beside)
    raise UserError(f"the name {options.name} was taken at the same moment", hint="choose another name")


def _clear_leftovers(state_dir: Path) -> None:
    """Removes folders that a killed process was making or removing."""
    if not state_dir.is_dir():
        return
    for path in state_dir.iterdir():
        if is_leftover(path.name, BEGUN, GONE):
            remove_root(path)
            remove_path(path)


def _clear_ended(folder: Path) -> None:
    """Makes room where the name's last container has ended or lost its supervisor; UserError where it runs."""
    if not folder.is_dir():
        return
    held = Container(folder)
    with locked(folder):
        if held.state().status in ("starting", "running"):
            hint = f"`modelcrate stop {folder.name}` ends it; or choose another name with --name"
            raise UserError(f"a container {folder.name} runs already", hint=hint)
        held.stop()
        discard(folder)


def _abandon(folder: Path) -> None:
    """After a start that failed or was interrupted: nothing runs, nothing stays."""
    with suppress(CrateError):
        if ContainerState.load(folder).main is not None:
            Container(folder).stop(timeout=0)
    discard(folder)


def _with_home(process: Process, identity: Identity) -> Process:
    """Adds HOME from the image's passwd, where neither the image nor the user sets it (as other engines do)."""
    if any(entry.startswith("HOME=") for entry in process.env):
        return process
    return replace(process, env=(*process.env, f"HOME={identity.home or '/'}"))


def _supervise(folder: Path) -> None:
    """Starts the supervisor in a session of its own, and waits until it reports how the start went."""
    answer, report = os.pipe()
    with open(folder / "supervisor.log", "wb") as log, os.fdopen(answer, "rb") as reader:
        try:
            started = start_module(
                "supervisor", str(folder.resolve()), str(report), pass_fds=(report,),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            code = started.wait()  # it forks and ends at once
        finally:
            os.close(report)
            text = reader.read()  # also after Ctrl-C: cleaning up depends on how the start came out
    if code or not text.endswith(b"\n"):
        tail = (folder / "supervisor.log").read_text(errors="replace").strip()[-2000:]
        raise MachineError("the container's supervisor died while it started", why=tail)
    fault = json.loads(text)
    if fault:
        raise _FAULTS.get(fault.pop("class"), MachineError)(fault.pop("what"), **fault)
