"""The images in which Azure makes and serves environments of Python. They can be named here; most users need none of them."""

from __future__ import annotations

from modelcrate_layers.patterns import compile_later

DEFAULT_CPU_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"
DEFAULT_GPU_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04"
MPI_CPU_IMAGE, MPI_GPU_IMAGE = DEFAULT_CPU_IMAGE, DEFAULT_GPU_IMAGE
"""The original's names for two of them, without the dates in their tags. Scripts import these from its modules."""

_CURATED_NAME = compile_later(r"(?i:azureml)-(.+)")
"""Curated environments in a workspace of the cloud."""

MINIMAL = "minimal"
"""The curated environment that has the original's server alone, and no image of its own."""

_CURATED = "mcr.microsoft.com/azureml/curated/"
_MICROSOFTS = compile_later(r"mcr\.microsoft\.com/azureml/(?!curated/).+")


def is_conda_base(image: str) -> bool:
    """Returns whether an image has an operating system and conda alone, in which Azure makes an environment of the packages that are named."""
    return _MICROSOFTS.fullmatch(image) is not None


def curated_image(name: str, version: str) -> str:
    """Returns the public image of a curated environment.

    Args:
        name: Its name in Microsoft's registry.
        version: Its version or label; empty for the latest.
    """
    return f"{_CURATED}{name.lower()}:{version or 'latest'}"


def curated_name(name: str) -> str:
    """Returns the name in Microsoft's registry of what a workspace of the cloud calls AzureML-NAME; empty for other environments."""
    found = _CURATED_NAME.fullmatch(name)
    return found[1].lower() if found else ""
