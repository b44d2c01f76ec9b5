"""Packages of CUDA among wheels: how much they are, and the line that avoids them."""

from __future__ import annotations

from collections.abc import Iterable

from modelcrate.project.byte_sizes import format_size
from modelcrate.project.values import Dependencies
from modelcrate.resolve.pinned import PinnedWheel

CUDA_BYTES = 100_000_000
"""From how many bytes on CUDA's packages are worth a word."""

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


def _of_cuda(wheel: PinnedWheel) -> bool:
    return wheel.name.startswith(("nvidia-", "cuda-")) or wheel.name == "triton"
