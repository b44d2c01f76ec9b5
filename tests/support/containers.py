"""Containers in tests: which engines this machine has, and how one waits for an end."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache

from modelcrate.containers import Container
from modelcrate.containers.runc import hybrid_cgroups
from support.waiting import HANG

ROOT = os.geteuid() == 0
ENGINES = ("runc", "crun", "namespaces", "chroot")
SERVER = ("perl", "/srv/server.pl")
Run = Callable[..., Container]


@cache
def why_not(name: str) -> str:
    """Why an engine isn't tested here; nothing where it is."""
    if name in ("runc", "crun"):
        if not ROOT:
            return f"{name} needs root here"
        if shutil.which(name, path=os.defpath + ":/usr/sbin:/sbin") is None:
            return f"{name} is not installed"
        return "crun can't start anything with hybrid cgroups" if name == "crun" and hybrid_cgroups() else ""
    if name == "chroot":
        return "" if ROOT else "chroot needs root"
    flags = [] if ROOT else ["-U"]
    done = subprocess.run(["unshare", *flags, "-mpfin", "true"], capture_output=True, text=True)
    return f"this machine allows no namespaces: {done.stderr}" if done.returncode else ""


def output(container: Container) -> str:
    return b"".join(container.logs()).decode(errors="replace")


def finished(container: Container) -> tuple[int, str]:
    return container.wait(HANG), output(container)
