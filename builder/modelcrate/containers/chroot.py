"""The image's folder as the root, and no more: for root where the kernel allows no namespaces, as in many CI jobs. Only on request.

It is no container (`options.NOT_HELD_BY_CHROOT`). There are no mounts, so there is no /proc, and a read-only root or a mounted folder is
refused instead of pretended. The program runs as the image's user, with the same capabilities and system call filter as elsewhere.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from modelcrate.containers import linux
from modelcrate.containers.init import start_inside
from modelcrate.containers.processes import end_processes_in
from modelcrate.containers.spec import SupervisorSpec
from modelcrate.images.root_folder import ContainerRoot
from modelcrate_layers.frozen import dataclass

_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}


@dataclass(frozen=True, slots=True)
class Chroot:
    """Starts the program after chroot(2)."""

    def unusable(self, spec: SupervisorSpec) -> str:
        """Returns why this container can't be started with chroot(2); empty where it can."""
        if spec.options.devices.nodes or spec.options.devices.hooks:
            return "it gives no devices"
        if spec.options.limits:
            return "only a runtime (runc, crun) can limit memory and processors"
        if spec.rootless:
            return "it needs root"
        if spec.options.read_only:
            return "it can't make the root read-only"
        return "it can't mount folders" if spec.options.volumes else ""

    def launch(self, spec: SupervisorSpec, log: int) -> int:
        """Starts the program in the changed root and returns its process id."""
        linux.adopt_orphans()  # there is no process namespace that would end them
        _fill_dev(spec)
        return start_inside(spec, log, lambda: _enter(spec))

    def clear(self, spec: SupervisorSpec) -> None:
        """Ends every process whose root is the container's folder."""
        end_processes_in(spec.rootfs)


def _enter(spec: SupervisorSpec) -> None:
    os.chroot(spec.rootfs)
    os.chdir("/")


def _fill_dev(spec: SupervisorSpec) -> None:
    """Makes the harmless devices (numbers: the kernel's devices.txt), where this machine lets us; Python needs none of them."""
    with ContainerRoot(spec.rootfs) as root:
        dev = root.folder((b"dev",), make=True)
        try:
            for name, (major, minor) in _DEVICES.items():
                with suppress(OSError):
                    os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(major, minor), dir_fd=dev)
                    os.chmod(name, 0o666, dir_fd=dev)  # noqa: S103 - as on every machine
            with suppress(FileExistsError):
                os.mkdir("shm", dir_fd=dev)
                os.chmod("shm", 0o1777, dir_fd=dev)  # noqa: S103 - likewise
        finally:
            os.close(dev)
