"""Packages of CUDA among wheels: how much they are, and the line that avoids them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelcrate.project.byte_sizes import format_size
from modelcrate.project.values import Dependencies
from modelcrate.resolve.pinned import PinnedWheel
from modelcrate_layers.patterns import compile_later

CUDA_BYTES = 100_000_000
"""From how many bytes on CUDA's packages are worth a word."""

_DRIVER_FOLDERS = ("/usr/local/nvidia/lib", "/usr/local/nvidia/lib64")
"""Where clusters mount the driver's libraries (NVIDIA's own images look there, too)."""

_TORCH = compile_later(r"\+cu([0-9]{2})[0-9]$")

NAMED = 3
"""How many of the largest are named."""


def cuda_notices(wheels: Iterable[PinnedWheel], needs: Dependencies) -> tuple[str, ...]:
    """Returns how much of CUDA is included, and how to do without. Nothing, where the project chooses its builds of PyTorch.

    Args:
        wheels: The wheels of all platforms.
        needs: The dependencies that the project declares.
    """
    known = {wheel.sha256: wheel for wheel in wheels}
    found = sorted(filter(_of_cuda, known.values()), key=lambda each: (-(each.size or 0), each.name))
    size = sum(each.size or 0 for each in found)
    if size < CUDA_BYTES or needs.torch:
        return ()
    largest = [f"{each.name} {format_size(each.size or 0)}" for each in found[:NAMED]]
    more = [f"{len(found) - NAMED} more"] if len(found) > NAMED else []
    named = ", ".join([*largest, *more])
    packages = f"{len(found)} packages of CUDA" if len(found) > 1 else "a package of CUDA"
    way = way_out(known.values(), needs)
    return (f"{packages}, {format_size(size)}, for computers with a GPU: {named}{f'; without: {way}' if way else ''}",)


def way_out(wheels: Iterable[PinnedWheel], needs: Dependencies) -> str:
    """Returns the line that avoids CUDA; empty where there is none or no CUDA, and where the project chooses its builds of PyTorch."""
    from modelcrate.resolve.declared import is_lock

    known = list(wheels)
    names = {each.name for each in known}
    if needs.torch or not any(map(_of_cuda, known)):
        return ""
    if "torch" in names:
        file = needs.pylock or (needs.requirements if not isinstance(needs.requirements, tuple) else None)
        if file is not None and is_lock(file):
            return f"lock torch from PyTorch's index of CPU builds, for {file} is taken as it is"
        return (
            f"dependencies: {{requirements: {file}, torch: cpu}}" if file is not None else "torch: cpu in dependencies"
        )
    if "xgboost" in names:
        return "require xgboost-cpu in place of xgboost"
    return ""


def cuda_variables(wheels: Iterable[PinnedWheel], below: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables by which NVIDIA's runtimes give a container its cards, where the wheels bring CUDA; else nothing.

    Args:
        wheels: The wheels of one platform.
        below: The variables of the base.
    """
    release = next(filter(None, map(_release, wheels)), "")
    if not release:
        return {}
    folders = [*_DRIVER_FOLDERS, *below.get("LD_LIBRARY_PATH", "").split(":")]
    return {
        "LD_LIBRARY_PATH": ":".join(dict.fromkeys(filter(None, folders))),
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_REQUIRE_CUDA": f"cuda>={release}.0",  # each driver for a release runs all programs of that release
        "NVIDIA_VISIBLE_DEVICES": "all",
    }


def _release(wheel: PinnedWheel) -> str:
    """The major version of the CUDA that a wheel brings: NVIDIA's runtime, or PyTorch's own."""
    if wheel.name.startswith("nvidia-cuda-runtime"):
        return wheel.version.partition(".")[0]
    found = _TORCH.search(wheel.version) if wheel.name == "torch" else None
    return found[1] if found else ""


def is_cuda(name: str) -> bool:
    """Returns whether a package of this name is one of CUDA's."""
    return name.startswith(("nvidia-", "cuda-")) or name == "triton"


def _of_cuda(wheel: PinnedWheel) -> bool:
    return is_cuda(wheel.name)
