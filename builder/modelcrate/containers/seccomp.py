"""The system calls that a container's program may not make: Docker's default list, as a BPF program and as an OCI runtime's profile.

The list is one table of denied calls. Docker's own profile lists the allowed ones; here every call up to `_LAST` that is not denied is
allowed, and newer calls do not exist (ENOSYS), so that a call that a later kernel adds is never open by itself.

The program is assembled here and not by libseccomp: its Python binding is not on PyPI as a wheel, and a filter of this form is a
comparison for each call (seccomp(2); linux/filter.h; numbers from the kernel's unistd.h).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from modelcrate_layers.frozen import dataclass

DENIED: Mapping[str, tuple[int | None, int | None]] = MappingProxyType(
    {
        # the kernel's own state: modules, another kernel, tracing, swap, clocks, accounting, quotas
        "acct": (163, 89), "bpf": (321, 280), "create_module": (174, None), "delete_module": (176, 106),
        "finit_module": (313, 273), "get_kernel_syms": (177, None), "init_module": (175, 105),
        "kexec_file_load": (320, 294), "kexec_load": (246, 104), "lookup_dcookie": (212, 18), "nfsservctl": (180, 42),
        "perf_event_open": (298, 241), "query_module": (178, None), "quotactl": (179, 60), "quotactl_fd": (443, 443),
        "reboot": (169, 142), "swapoff": (168, 225), "swapon": (167, 224), "sysfs": (139, None), "_sysctl": (156, None),
        "syslog": (103, 116), "adjtimex": (159, 171), "clock_adjtime": (305, 266), "clock_settime": (227, 112),
        "settimeofday": (164, 170), "setdomainname": (171, 162), "sethostname": (170, 161), "uselib": (134, None),
        "ustat": (136, None), "vhangup": (153, 58), "vserver": (236, None), "ioperm": (173, None), "iopl": (172, None),
        "personality": (135, 92),
        # mounts and namespaces
        "chroot": (161, 51), "fsconfig": (431, 431), "fsmount": (432, 432), "fsopen": (430, 430), "fspick": (433, 433),
        "mount": (165, 40), "mount_setattr": (442, 442), "move_mount": (429, 429), "open_tree": (428, 428),
        "pivot_root": (155, 41), "setns": (308, 268), "umount2": (166, 39), "unshare": (272, 97),
        "statmount": (457, 457), "listmount": (458, 458),
        # files by handle, which passes over the root folder
        "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
        # keys, which have no namespace
        "add_key": (248, 217), "keyctl": (250, 219), "request_key": (249, 218),
        # other processes, their memory and its place
        "get_mempolicy": (239, 236), "kcmp": (312, 272), "mbind": (237, 235), "migrate_pages": (256, 238),
        "move_pages": (279, 239), "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
        "set_mempolicy": (238, 237), "set_mempolicy_home_node": (450, 450),
        # large parts of the kernel that held many faults and that no model server needs
        "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "io_uring_setup": (425, 425),
        "userfaultfd": (323, 282),
    }
)  # fmt: skip
"""Denied calls with their numbers on x86_64 and on the machines that share the kernel's generic table; None where there is no such call."""

_CHECKED: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"clone": (56, 220), "clone3": (435, 435), "socket": (41, 198)}
)
"""Calls that are decided by their first argument. clone3 keeps its flags in memory, where no filter can look: it does not exist."""

_LAST = 462
"""mseal, of Linux 6.10: the last call that was looked at when DENIED was written. Its number is the same everywhere."""

_NEW_NAMESPACES = 0x7E020000
"""All CLONE_NEW flags of clone(2)."""

_AF_VSOCK = 40
"""Sockets to the machine's hypervisor, which have no namespace."""

_KILL, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _GREATER, _ANY_OF, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian


@dataclass(frozen=True, slots=True)
class _Table:
    audit: int
    column: int


_TABLES = {
    "x86_64": _Table(0xC000003E, 0),
    "aarch64": _Table(0xC00000B7, 1),
    "riscv64": _Table(0xC00000F3, 1),
    "loongarch64": _Table(0xC0000102, 1),
}


def filter_program(machine: str) -> bytes | None:
    """Returns the filter as an array of `struct sock_filter`, or None for a machine whose numbers are not known here.

    Args:
        machine: the processor as uname(2) names it, for instance `x86_64`.
    """
    table = _TABLES.get(machine)
    if table is None:
        return None
    number = {name: columns[table.column] for name, columns in _CHECKED.items()}
    denied = sorted(each for columns in DENIED.values() if (each := columns[table.column]) is not None)
    steps = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, table.audit, 1, 0),
        _step(_RETURN, _KILL),  # calls of the 32-bit machine have other numbers
        _step(_LOAD, _NUMBER),
        *_when(_GREATER, _LAST, _refused(errno.ENOSYS)),  # the calls of x32 too, which begin at 2^30
        *_when(_EQUAL, number["clone3"], _refused(errno.ENOSYS)),
        *(step for each in denied for step in _when(_EQUAL, each, _refused(errno.EPERM))),
        *_when(_EQUAL, number["clone"], _argument(_when(_ANY_OF, _NEW_NAMESPACES, _refused(errno.EPERM)))),
        *_when(_EQUAL, number["socket"], _argument(_when(_EQUAL, _AF_VSOCK, _refused(errno.EPERM)))),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(steps)


def runtime_profile() -> dict[str, Any]:
    """Returns the same list as `linux.seccomp` of a runtime's config.json (runtime-spec, config-linux.md)."""
    refused = {"action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM}
    missing = {"action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS}
    flags = [
        {"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 1 << bit, "valueTwo": 1 << bit}
        for bit in range(32)
        if _NEW_NAMESPACES >> bit & 1
    ]
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": sorted(DENIED), **refused},
            {"names": ["clone3"], **missing},
            *({"names": ["clone"], "args": [flag], **refused} for flag in flags),
            {"names": ["socket"], "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": _AF_VSOCK}], **refused},
        ],
    }


def _argument(then: list[bytes]) -> list[bytes]:
    """Looks at the low half of the first argument, and allows the call where `then` does not decide. Flags fit into that half."""
    return [_step(_LOAD, _FIRST_ARGUMENT), *then, _step(_RETURN, _ALLOW)]


def _when(test: int, value: int, then: list[bytes]) -> list[bytes]:
    """Runs `then` where the loaded word passes the test, and passes over it otherwise."""
    return [_step(test, value, 0, len(then)), *then]


def _refused(number: int) -> list[bytes]:
    return [_step(_RETURN, _ERRNO | number)]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction: `struct sock_filter` of linux/filter.h."""
    return struct.pack("=HBBI", code, if_true, if_false, value)
