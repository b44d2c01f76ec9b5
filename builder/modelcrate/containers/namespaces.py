"""Containers from namespaces alone: mounts, processes, IPC and host name of their own; for ordinary users a user namespace on top.

In a user namespace one user and one group are mapped: the container's user is, outside, the user that started it. So the program owns
all files of the image, whatever owners they have in the layers; `read_only` protects them where that matters.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress

from modelcrate.containers import linux
from modelcrate.containers.identity import Identity
from modelcrate.containers.init import start_inside
from modelcrate.containers.options import Volume
from modelcrate.containers.seccomp import filter_program
from modelcrate.containers.spec import SupervisorSpec
from modelcrate.images.root_folder import ContainerRoot, Parts, parts_of
from modelcrate_layers.errors import MachineError
from modelcrate_layers.frozen import dataclass

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_QUIET = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC

READ_ONLY = ("proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger")
"""Docker's default list of paths that even root in a container can't write: they belong to the machine."""

MASKED = (
    "proc/acpi", "proc/asound", "proc/interrupts", "proc/kcore", "proc/keys", "proc/latency_stats", "proc/sched_debug", "proc/scsi",
    "proc/timer_list", "proc/timer_stats", "sys/devices/virtual/powercap", "sys/firmware",
)  # fmt: skip
"""Docker's default list of paths that a container can't see."""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The engine for machines without a runtime, and for users without root."""

    def unusable(self, spec: SupervisorSpec) -> str:
        """Tries it in a process that ends at once: only a trial shows what the kernel and its security modules allow."""
        if spec.options.devices.hooks or spec.options.devices.groups:
            return "the device has hooks or groups, which only a runtime (runc, crun, as root) runs and sets"
        if spec.options.limits:
            return "only a runtime (runc, crun) can limit memory and processors"
        if filter_program(os.uname().machine) is None:
            return f"no system call filter is known for {os.uname().machine}"
        answer, report = os.pipe()
        child = os.fork()
        if not child:
            try:
                _unshare_for_trial(spec)
            except OSError as fault:
                os.write(report, str(fault).encode())
            finally:
                os._exit(0)
        os.close(report)
        with os.fdopen(answer, "rb") as reader:
            reason = reader.read(4096).decode("utf-8", "replace")
        os.waitpid(child, 0)
        return reason

    def launch(self, spec: SupervisorSpec, log: int) -> int:
        """The supervisor itself moves: its next child is process 1 of the new namespace, and it has no other children."""
        linux.unshare(linux.NEWPID | linux.NEWIPC | linux.NEWUTS)
        return start_inside(spec, log, lambda: _enter(spec))

    def clear(self, spec: SupervisorSpec) -> None:
        """Does nothing: what a namespace holds goes with its last process."""


def enter_user_namespace(identity: Identity) -> None:
    """Makes this process, an ordinary user outside, `identity` inside a new user namespace, with all rights there (user_namespaces(7))."""
    uid, gid = os.geteuid(), os.getegid()
    linux.unshare(linux.NEWUSER)
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{identity.uid} {uid} 1"),
        ("gid_map", f"{identity.gid} {gid} 1"),
    ):
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, line.encode())
        finally:
            os.close(fd)


def _unshare_for_trial(spec: SupervisorSpec) -> None:
    if spec.rootless and os.geteuid() != spec.identity.uid:
        enter_user_namespace(spec.identity)
    linux.unshare(linux.NEWNS | linux.NEWPID | linux.NEWIPC | linux.NEWUTS)
    linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", str(spec.rootfs), "tmpfs")


def _enter(spec: SupervisorSpec) -> None:
    """In process 1: a view of the file system that has the image as its root and nothing else."""
    root = str(spec.rootfs)
    linux.unshare(linux.NEWNS)
    linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    linux.mount(root, root, flags=linux.MS_BIND | linux.MS_REC)
    with ContainerRoot(spec.rootfs) as inside:
        _mount_proc(inside)
        with suppress(OSError):  # sysfs belongs to a network namespace: not ours where the machine's network is used
            _mount(inside, (b"sys",), "sysfs", _QUIET | linux.MS_RDONLY)
        _mount(inside, (b"dev",), "tmpfs", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=755,size=64k")
        _fill_dev(inside)
        for node in spec.options.devices.nodes:
            place = parts_of(node.container.encode())
            inside.mount_point(place, is_file=True)
            fd = inside.open_path(place)
            linux.mount(node.host, f"/proc/self/fd/{fd}", flags=linux.MS_BIND)
            os.close(fd)
        _mount(inside, (b"dev", b"shm"), "tmpfs", _QUIET, "mode=1777")
        if spec.options.read_only:
            _mount(inside, (b"tmp",), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777")
            for volume in spec.options.volumes:  # the places that the image had there are covered
                if (parts := parts_of(os.fsencode(volume.container)))[:1] == (b"tmp",) and len(parts) > 1:
                    inside.forget()
                    inside.mount_point(parts, volume.host.is_file())
        for volume in spec.options.volumes:
            _mount_volume(inside, volume)
        _guard(inside)
    _remount(root, linux.MS_RDONLY if spec.options.read_only else 0)
    linux.pivot_to(root)
    socket.sethostname(spec.options.name)


def _mount(root: ContainerRoot, parts: Parts, kind: str, flags: int, data: str = "") -> None:
    """Mounts a new file system on a folder of the root, which is no link: `ContainerRoot.mount_point` has made it."""
    fd = root.folder(parts, make=True)
    try:
        linux.mount(kind, f"/proc/self/fd/{fd}", kind, flags, data)
    finally:
        os.close(fd)


def _mount_volume(root: ContainerRoot, volume: Volume) -> None:
    """Binds a folder or file of the machine, with what is mounted below it, to a place that `ContainerRoot.mount_point` has made."""
    fd = root.open_path(parts_of(os.fsencode(volume.container)))
    try:
        linux.mount(str(volume.host), f"/proc/self/fd/{fd}", flags=linux.MS_BIND | linux.MS_REC)
    finally:
        os.close(fd)
    mounted = root.open_path(parts_of(os.fsencode(volume.container)))
    try:
        linux.guard_mounts(f"/proc/self/fd/{mounted}", volume.read_only)
    finally:
        os.close(mounted)


def _mount_proc(root: ContainerRoot) -> None:
    try:
        _mount(root, (b"proc",), "proc", _QUIET)
    except OSError as fault:
        if fault.errno != errno.EPERM:
            raise
        # a container around us hides parts of its /proc. The kernel then gives a user namespace no new one, but allows the same one
        fd = root.folder((b"proc",), make=True)
        linux.mount("/proc", f"/proc/self/fd/{fd}", flags=linux.MS_BIND | linux.MS_REC)
        os.close(fd)


def _fill_dev(root: ContainerRoot) -> None:
    """Binds the machine's own harmless devices into the fresh /dev: only root may make new ones."""
    dev = root.folder((b"dev",))
    try:
        for name in _DEVICES:
            if os.path.exists(f"/dev/{name}"):
                os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666, dir_fd=dev))
                linux.mount(f"/dev/{name}", f"/proc/self/fd/{dev}/{name}", flags=linux.MS_BIND)
        for name, target in _LINKS.items():
            os.symlink(target, name, dir_fd=dev)
        os.mkdir("shm", 0o777, dir_fd=dev)
    finally:
        os.close(dev)


def _guard(root: ContainerRoot) -> None:
    """Makes READ_ONLY read-only and hides MASKED, as far as this kernel has them. Both lie on file systems that we have just mounted."""
    for name in (*READ_ONLY, *MASKED):
        first, _, rest = name.partition("/")
        folder = root.folder((first.encode(),))
        target = f"/proc/self/fd/{folder}/{rest}"
        try:
            if not os.path.exists(target):
                continue
            if name in READ_ONLY:
                linux.mount(target, target, flags=linux.MS_BIND | linux.MS_REC)
                _remount(target, linux.MS_RDONLY)
            elif os.path.isdir(target):
                linux.mount("tmpfs", target, "tmpfs", _QUIET | linux.MS_RDONLY, "size=0,mode=555")
            else:
                linux.mount("/dev/null", target, flags=linux.MS_BIND)
        finally:
            os.close(folder)


def _remount(target: str, more: int) -> None:
    """Adds flags to a bind mount and repeats those it has: a user namespace may not take any away (mount_namespaces(7))."""
    held = os.statvfs(target).f_flag
    flags = sum(flag for bit, flag in linux.MS_LOCKED.items() if held & bit)
    flags |= linux.MS_REMOUNT | linux.MS_BIND | linux.MS_NOSUID | linux.MS_NODEV | more
    try:
        linux.mount("none", target, flags=flags)
    except OSError as fault:
        raise MachineError(f"can't protect {target}: {fault}") from None
