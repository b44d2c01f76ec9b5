"""A virtual environment on this machine with the packages of an image, for trying a project without building it."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from pathlib import Path

from modelcrate.resolve.package_fetcher import PackageFetcher
from modelcrate.resolve.world import Resolved
from modelcrate_layers.atomic import remove, scratch_folder
from modelcrate_layers.errors import MachineError, UserError
from modelcrate_layers.records import claim_folder
from modelcrate_layers.store import as_machine_error


def make_environment(resolved: Resolved, fetcher: PackageFetcher, folder: Path) -> Path:
    """Returns the folder of a virtual environment with the pinned wheels of a platform. One that was made before is used again.

    On a Linux machine of the image's architecture it gets the very wheels of the image; elsewhere the same versions, from the index.

    Args:
        resolved: The platform with its packages pinned.
        fetcher: Fetches wheels that are not in the cache.
        folder: Where environments are kept.

    Raises:
        UserError: The project has conda packages or no Python.
        MachineError: This machine has no such Python, or uv failed.
    """
    if resolved.target is None or resolved.pins.conda:
        raise UserError(
            "a virtual environment can't have the conda packages of this project"
            if resolved.pins.conda
            else "the image has no Python, so nothing of it can be served",
            hint="modelcrate run PROJECT starts the image",
        )
    same = is_same_machine(resolved)
    pins = resolved.pins.wheels
    named = [each.sha256 if same else f"{each.name}=={each.version}" for each in pins]
    key = hashlib.sha256("\n".join((resolved.target.minor, platform.platform(), *named)).encode()).hexdigest()[:32]
    made = folder / key
    with as_machine_error(folder):
        claim_folder(folder)  # programs that came with a copy of the home are not started
    if (made / "bin/python").exists():
        return made
    remove(made)  # the Python that it was made with has gone
    with scratch_folder(folder) as scratch:
        _uv(fetcher, "venv", "--relocatable", "--python", resolved.target.minor, str(scratch / "venv"))
        if same:
            wheels = [fetcher.placed(each) for each in pins]
            fetcher.fetch([each for each in wheels if not Path(each.path).exists()])
            what = ["--no-index", *(each.path for each in wheels)]
        else:
            index = fetcher.sources.index
            what = [*fetcher.sources.uv.where(index), *named]
        if what != ["--no-index"]:
            python = str(scratch / "venv/bin/python")
            _uv(fetcher, "pip", "install", "--no-deps", *what, "--python", python)
        try:
            (scratch / "venv").rename(made)
        except OSError:  # another process has made it meanwhile
            if not made.is_dir():
                raise
    return made


def is_same_machine(resolved: Resolved) -> bool:
    """Returns whether this machine runs what the image's platform runs."""
    return (
        platform.system() == "Linux" and resolved.target is not None and platform.machine() == resolved.target.machine
    )


def _uv(fetcher: PackageFetcher, *words: str) -> None:
    sources = fetcher.sources
    done = subprocess.run(
        sources.uv.command(*words), env=sources.uv.environment(sources.index), stdin=subprocess.DEVNULL, capture_output=True
    )  # fmt: skip
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip()
        if "No interpreter found" in why:
            raise MachineError("this machine has no Python of the image's version", why=why[-1000:], hint="install it, or start the image: modelcrate run PROJECT")  # fmt: skip
        raise MachineError("the virtual environment can't be made", why=why[-2000:])
