"""The platform of this machine, for images that are made for several."""

from __future__ import annotations

import os

from modelcrate_layers.content import Platform

_ARCHITECTURES = {
    "x86_64": ("amd64",),
    "amd64": ("amd64",),
    "aarch64": ("arm64",),
    "arm64": ("arm64",),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386",),
    "ppc64le": ("ppc64le",),
    "riscv64": ("riscv64",),
    "s390x": ("s390x",),
    "loongarch64": ("loong64",),
}


def host_platform() -> Platform:
    """Returns the platform whose programs this machine runs (image-spec image-index.md)."""
    machine = os.uname().machine
    return Platform("linux", *_ARCHITECTURES.get(machine, (machine,)))
