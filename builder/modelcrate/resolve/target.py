"""The machine and the Python that an image is for: wheel tags and markers, whatever Python and machine we run on ourselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass

if TYPE_CHECKING:
    from packaging.markers import Environment
    from packaging.tags import Tag

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Go's names, as platforms have them, and the kernel's, as wheels have them."""

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
"""Older names of manylinux_2_N (PEP 600)."""

_OLDEST = {"x86_64": 5, "aarch64": 17}
"""The first manylinux_2_N that there was for a machine."""

_UV = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)
"""The manylinux_2_N that uv can be asked for; a newer glibc can do all that the newest of them can."""


class NoWheelError(UserError):
    """A package has no wheel for a target. It may have one for another."""


@dataclass(frozen=True, slots=True)
class Target:
    """What wheels are chosen for.

    Attributes:
        python: Major and minor, or all three numbers.
        glibc: The version of the base's C library (Debian bookworm 2.36, trixie 2.41).
        musl: The same where that is musl; `glibc` counts for nothing then.
    """

    python: str
    architecture: str = "amd64"
    glibc: tuple[int, int] = (2, 36)
    musl: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"3\.[0-9]{1,2}(\.[0-9]{1,3})?", self.python):
            raise UserError(f"not a Python version: {self.python[:40]!r}", hint="expected for instance 3.11")
        if self.architecture not in _MACHINES:
            raise UserError(f"no wheels are known for {self.architecture}", hint=f"known: {', '.join(_MACHINES)}")
        if self.musl is None and (self.glibc[0] != 2 or self.glibc[1] < _UV[0]):
            raise UserError(
                f"glibc {self.glibc[0]}.{self.glibc[1]} is too old for today's wheels",
                hint=f"take a base with glibc 2.{_UV[0]} or newer",
            )

    def __str__(self) -> str:
        name, version = ("musl", self.musl) if self.musl else ("glibc", self.glibc)
        return f"Python {self.minor} on linux/{self.architecture} with {name} {version[0]}.{version[1]}"

    @property
    def machine(self) -> str:
        """The machine as Python's `platform.machine()` names it."""
        return _MACHINES[self.architecture]

    @property
    def minor(self) -> str:
        """Major and minor: `3.11`."""
        return ".".join(self.python.split(".")[:2])

    @property
    def full(self) -> str:
        """All three numbers of the version. Without a patch number it is the first release, as in uv."""
        return self.python if self.python.count(".") == 2 else f"{self.python}.0"

    @property
    def uv_platform(self) -> str:
        """What uv's option --python-platform is given."""
        if self.musl:
            return f"{self.machine}-unknown-linux-musl"
        return f"{self.machine}-manylinux_2_{max(minor for minor in _UV if minor <= self.glibc[1])}"

    def tags(self) -> tuple[Tag, ...]:
        """Returns the wheel tags that run there, best first (PEP 425)."""
        from packaging.tags import compatible_tags, cpython_tags

        major, minor = (int(part) for part in self.minor.split("."))
        python, platforms = (major, minor), list(self._platforms())
        interpreter = f"cp{major}{minor}"
        return (
            *cpython_tags(python, abis=[interpreter], platforms=platforms),
            *compatible_tags(python, interpreter=interpreter, platforms=platforms),
        )

    def sought(self) -> str:
        """Returns the tags in short, for people."""
        python = "cp" + self.minor.replace(".", "")
        kind, version = ("musllinux", self.musl) if self.musl else ("manylinux", self.glibc)
        best = f"{kind}_{version[0]}_{version[1]}_{self.machine}"
        return f"{python}-{python}-{best} or older {kind}, {python}-abi3-{best} or older, py3-none-any"

    def environment(self) -> Environment:
        """Returns the values of environment markers there (PEP 508); those that can't be known are empty."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.full,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.full,
            "python_version": self.minor,
            "sys_platform": "linux",
        }

    def _platforms(self) -> Iterator[str]:
        yield f"linux_{self.machine}"  # a wheel built for one's own machines goes before one built for all
        if self.musl:
            yield from (f"musllinux_1_{minor}_{self.machine}" for minor in range(self.musl[1], 0, -1))
            return
        for minor in range(self.glibc[1], _OLDEST[self.machine] - 1, -1):
            yield f"manylinux_2_{minor}_{self.machine}"
            if minor in _LEGACY:
                yield f"{_LEGACY[minor]}_{self.machine}"
