"""Our own interpreter as a sealed copy in memory, for the processes that enter a container.

A process that enters a container and then starts a program of it shows that program its own executable as /proc/self/exe (the program may
be a script with `#!/proc/self/exe`). Where the executable is a file of this machine, a program that runs as root can open it and write to it
later (CVE-2019-5736). A sealed memfd can't be written by anybody.
"""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from modelcrate_layers.errors import MachineError

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_MFD_EXEC = 0x10
_MODULE = "modelcrate.containers."


def start_module(name: str, *arguments: str, pass_fds: Sequence[int], **options: Any) -> subprocess.Popen[bytes]:
    """Starts `python -m modelcrate.containers.NAME`, with the sealed copy as its executable.

    Args:
        name: a module of this package that is written to be run.
        arguments: its command line.
        pass_fds: file descriptors that the new process keeps.
        options: as for `subprocess.Popen`.
    """
    # -P: the folder that this was called in may hold a `modelcrate` of its own
    words = [sys.executable, "-P", "-m", _MODULE + name, *arguments]
    env = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PATH": os.defpath}
    if sysconfig.get_config_var(
        "Py_ENABLE_SHARED"
    ):  # a copy in memory has no folder that libpython could be found from
        env["LD_LIBRARY_PATH"] = str(sysconfig.get_config_var("LIBDIR"))
    copy = _sealed_copy()
    try:
        return subprocess.Popen(
            words, executable=f"/proc/self/fd/{copy}", pass_fds=(copy, *pass_fds), env=env, cwd="/", **options
        )
    finally:
        os.close(copy)


def module_arguments(command: Sequence[bytes], name: str) -> Sequence[bytes] | None:
    """Returns the arguments of a command line that `start_module` made for this module; None for any other command line."""
    marks = [b"-P", b"-m", os.fsencode(_MODULE + name)]
    return command[4:] if list(command[1:4]) == marks else None


def _executable_memory() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create("python", flags | _MFD_EXEC)
    except OSError as fault:
        if fault.errno != errno.EINVAL:
            raise
        return os.memfd_create("python", flags)  # kernels before 6.3 know no other kind


def _sealed_copy() -> int:
    """A descriptor of the copy. MachineError where this machine gives no memory that can be executed."""
    copy = -1
    try:
        copy = _executable_memory()
        with open("/proc/self/exe", "rb") as source:
            left = os.fstat(source.fileno()).st_size
            while left > 0 and (sent := os.sendfile(copy, source.fileno(), None, left)):
                left -= sent
        os.fchmod(copy, 0o500)
        fcntl.fcntl(copy, fcntl.F_ADD_SEALS, _SEALS)
    except OSError as fault:
        with suppress(OSError):
            os.close(copy)
        raise MachineError(f"can't make a sealed copy of {sys.executable}: {fault.strerror}") from None
    return copy
