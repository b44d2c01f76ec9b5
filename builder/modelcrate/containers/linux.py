"""The few system calls that Python 3.11 has no function for. Thin: one call each, errors as OSError, no decisions.

Numbers are from the kernel's uapi headers. They are the same on all machines but for pivot_root, whose numbers are in a table.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MS_LOCKED = {1: MS_RDONLY, 2: MS_NOSUID, 4: MS_NODEV, 8: MS_NOEXEC, 1024: 1024, 2048: 2048, 4096: 1 << 21}
"""statvfs flags and the mount flags they stand for: those that a remount has to repeat."""

_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _FILTER_STEP = 22, 2, 8
_SYS_MOUNT_SETATTR, _AT_EMPTY_PATH, _AT_RECURSIVE = 442, 0x1000, 0x8000
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV = 1, 2, 4
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Moves this process into new namespaces (unshare(2))."""
    _checked(_libc.unshare(flags), "unshare")


def setns(fd: int) -> None:
    """Enters the namespace of an open /proc/PID/ns file (setns(2)). A process namespace applies from the next child on."""
    _checked(_libc.setns(fd, 0), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mounts a file system (mount(2)); an empty `kind` or `data` is NULL."""
    _checked(
        _libc.mount(
            source.encode(), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None
        ),
        f"mount {kind or source}",
    )


def unmount(target: str) -> None:
    """Detaches the mount on a folder; it goes with its last user (umount2(2), MNT_DETACH)."""
    _checked(_libc.umount2(os.fsencode(target), _MNT_DETACH), "umount2")


def sync_file_system(path: str) -> None:
    """Waits until all that was written to the file system of a folder is on its disk (syncfs(2))."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _checked(_libc.syncfs(fd), "syncfs")
    finally:
        os.close(fd)


def guard_mounts(target: str, read_only: bool) -> None:
    """mount_setattr(2): no set-user-id programs and no devices on the mount `target` and on all mounts below it; optionally read-only.

    A mount of a user namespace keeps the flags that it has. OSError (ENOSYS) on kernels before 5.12.
    """
    wanted = _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV | (_MOUNT_ATTR_RDONLY if read_only else 0)
    attributes = ctypes.create_string_buffer(struct.pack("=4Q", wanted, 0, 0, 0), 32)
    fd = os.open(target, os.O_PATH | os.O_CLOEXEC)
    try:
        flags = ctypes.c_uint(_AT_EMPTY_PATH | _AT_RECURSIVE)
        number = ctypes.c_long(_SYS_MOUNT_SETATTR)
        _checked(_libc.syscall(number, fd, b"", flags, attributes, ctypes.c_size_t(32)), "mount_setattr")
    finally:
        os.close(fd)


def pivot_to(root: str) -> None:
    """Makes the mount point `root` the root, and detaches the old one (pivot_root(2), the way with `.` and `.`)."""
    os.chdir(root)
    number = _PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(f"pivot_root is not known on {os.uname().machine}")
    _checked(_libc.syscall(ctypes.c_long(number), b".", b"."), "pivot_root")
    _checked(_libc.umount2(b".", _MNT_DETACH), "umount2")
    os.chdir("/")


def die_with_parent(signum: int) -> None:
    """The kernel sends `signum` to this process when its parent thread ends. Lost when credentials change: call it after."""
    _prctl(_PR_SET_PDEATHSIG, signum)


def end_group(process: int) -> None:
    """Kills a process and all of its group."""
    os.killpg(process, signal.SIGKILL)


def close_to_others() -> None:
    """Closes this process to others: without the machine's own CAP_SYS_PTRACE none reads its memory or its files in /proc. Ends with an exec."""
    _prctl(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Orphans below this process become its children."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def no_new_privileges() -> None:
    """From here on no exec gives more rights, not even that of a set-user-id program."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def install_filter(program: bytes) -> None:
    """Filters this process's system calls from here on (seccomp(2)). Without privileges it takes `no_new_privileges` first."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // _FILTER_STEP, ctypes.addressof(code))
    held = ctypes.create_string_buffer(header, len(header))
    zero = ctypes.c_ulong(0)
    mode = ctypes.c_ulong(_SECCOMP_MODE_FILTER)
    _checked(_libc.prctl(_PR_SET_SECCOMP, mode, held, zero, zero), "seccomp")


def bound_capabilities(kept: int) -> None:
    """Drops all but the mask `kept` from the bounding set. Needs CAP_SETPCAP."""
    for number in range(_LAST_CAPABILITY + 1):
        if not kept >> number & 1:
            try:
                _prctl(_PR_CAPBSET_DROP, number)
            except OSError:
                return  # the first number that this kernel doesn't know


def set_capabilities(mask: int) -> None:
    """Makes `mask` this thread's effective and permitted set; nothing is inheritable."""
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, struct.pack("=6I", low, low, 0, high, high, 0)), "capset")


def capabilities() -> int:
    """This thread's permitted set."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    data = ctypes.create_string_buffer(24)
    _checked(_libc.capget(header, data), "capget")
    words = struct.unpack("=6I", data.raw)
    return int(words[1]) | int(words[4]) << 32


def loopback_up() -> None:
    """Brings `lo` up in this network namespace; the kernel gives it 127.0.0.1 (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        answer = fcntl.ioctl(door, _SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))
        flags = struct.unpack("16sh22x", answer)[1]
        fcntl.ioctl(door, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero), "prctl")
