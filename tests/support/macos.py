"""What macOS has otherwise, laid over this Python before modelcrate is imported: no files without a name, no /proc, and names in any case.

Run as a program, it is `modelcrate` on such a machine: the words after it are those of the command.
"""

from __future__ import annotations

import builtins
import io
import os
import platform
import subprocess
import sys
import sysconfig
import types
from collections.abc import Callable
from typing import Any

LACKING = (
    "O_TMPFILE", "O_PATH", "sched_getaffinity", "posix_fadvise", "posix_fallocate", "copy_file_range", "memfd_create", "splice", "eventfd",
)  # fmt: skip
"""Of `os`; what a Python on macOS does not have."""


def on_disk(path: Any) -> Any:
    """The path as the file system finds it: names that differ in their case alone are one."""
    if not isinstance(path, str | bytes | os.PathLike):
        return path
    text = os.fsdecode(path)
    if text.startswith(("/proc", "/sys")):
        return "/nowhere" + text
    if _lexists(text):
        return path
    above, name = os.path.split(text)
    if not name or above == text:
        return path
    folder = on_disk(above) if above else "."
    try:
        near = [each for each in _listdir(folder) if each.lower() == name.lower()]
    except OSError:
        return path
    return os.path.join(folder, near[0]) if near else path


_listdir, _lexists = os.listdir, os.path.lexists


def _folding(call: Callable[..., Any]) -> Callable[..., Any]:
    def folded(path: Any, *args: Any, **more: Any) -> Any:
        return call(path if more.get("dir_fd") is not None else on_disk(path), *args, **more)

    return folded


def lay() -> None:
    """Changes this process."""
    sysconfig.get_config_vars()  # kept from now on; there is no file with macOS's
    for name in LACKING:
        if hasattr(os, name):
            delattr(os, name)
    real = os.lstat

    def lexists(path: Any) -> bool:
        try:
            real(path)
        except (OSError, ValueError):
            return False
        return True

    globals()["_lexists"] = lexists
    for name in ("stat", "lstat", "open", "scandir", "listdir", "readlink", "unlink", "mkdir", "chmod", "utime"):
        setattr(os, name, _folding(getattr(os, name)))
    builtins.open = io.open = _folding(io.open)  # type: ignore[assignment]
    scan = os.scandir

    class Backward:
        """A folder's entries in another order than Linux has them."""

        def __init__(self, path: Any = ".") -> None:
            with scan(path) as found:
                self.entries = iter(sorted(found, key=lambda each: each.name, reverse=True))

        def __enter__(self) -> Backward:
            return self

        def __exit__(self, *fault: object) -> None:
            pass

        def __iter__(self) -> Any:
            return self.entries

        def __next__(self) -> Any:
            return next(self.entries)

        def close(self) -> None:
            pass

    os.scandir = Backward  # type: ignore[assignment, misc]
    proxies: Any = types.ModuleType("_scproxy")
    proxies._get_proxy_settings = proxies._get_proxies = dict
    sys.modules["_scproxy"] = proxies
    subprocess._USE_VFORK = subprocess._USE_POSIX_SPAWN = False  # type: ignore[attr-defined]
    platform.system, platform.machine = lambda: "Darwin", lambda: "arm64"
    sys.platform = "darwin"


if __name__ == "__main__":
    lay()
    from modelcrate.cli import main

    raise SystemExit(main(sys.argv[1:]))
