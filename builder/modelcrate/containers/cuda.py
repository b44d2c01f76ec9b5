"""NVIDIA's driver held against the CUDA that an image needs, before it starts. Pure, but for the one file that names the driver."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from modelcrate_layers.errors import MachineError
from modelcrate_layers.patterns import compile_later

REQUIRES = "NVIDIA_REQUIRE_CUDA"
"""The variable of an image that says which CUDA it needs (NVIDIA Container Toolkit)."""

DRIVER_FILE = Path("/proc/driver/nvidia/version")

MIN_DRIVER: Mapping[int, tuple[int, ...]] = MappingProxyType({11: (450, 80, 2), 12: (525, 60, 13), 13: (580, 65, 6)})
"""The oldest driver for Linux with which programs of a CUDA release run (CUDA Toolkit release notes, minor version compatibility)."""

_DRIVER = compile_later(r"Kernel Module(?: for \S+)?\s+([0-9]{3}(?:\.[0-9]{1,3}){1,2})")
_WANTED = compile_later(r"cuda>=([0-9]{1,2})\.[0-9]{1,2}")


def installed_driver(file: Path = DRIVER_FILE) -> str:
    """Returns the version of NVIDIA's driver on this machine; empty where there is none, or its file is another than we know."""
    try:
        found = _DRIVER.search(file.read_text(errors="replace"))
    except OSError:
        return ""
    return found[1] if found else ""


def check_driver(env: Mapping[str, str], driver: str) -> None:
    """Holds a driver against what an image says that it needs. An image or a driver that says nothing passes.

    Args:
        env: The image's variables.
        driver: The driver's version.

    Raises:
        MachineError: The driver is too old.
    """
    wanted = _WANTED.search(env.get(REQUIRES, ""))
    least = MIN_DRIVER.get(int(wanted[1])) if wanted else None
    if wanted is None or least is None or not driver:
        return
    if tuple(map(int, driver.split("."))) < least:
        oldest = ".".join(f"{part:02}" for part in least)
        raise MachineError(
            f"NVIDIA's driver {driver} is too old for CUDA {wanted[1]}, which the image needs",
            why=f"programs of CUDA {wanted[1]} run with driver {oldest} and newer",
            hint="update the driver, or build the image with packages for an older CUDA (`torch:` in dependencies)",
        )
