"""Where things stand in the environment of the image: the shape of a virtual environment, under one prefix of ours.

The shape is what Python itself looks for (library `venv`, PEP 405), so that nothing has to be configured: a process of
`{prefix}/bin/python` has the packages, and the packages of the base stay out of sight.
"""

from __future__ import annotations

import re

from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

PREFIX = "/opt/modelcrate"
"""A folder that no distribution uses (FHS 3.0, 3.13: /opt/<provider>), so that a layer replaces nothing of a base."""

_PREFIX = compile_later(r"(/[A-Za-z0-9_][A-Za-z0-9._+-]*)+")
_MAX_PREFIX = 100
"""Linux cuts a shebang line at 127 bytes on old kernels; `/bin/python3.99` and `#!` have to fit too."""


@dataclass(frozen=True, slots=True)
class Venv:
    """A prefix and a Python version, major and minor: `3.11`. Paths inside a layer are bytes without the leading slash."""

    python: str
    prefix: str = PREFIX

    def __post_init__(self) -> None:
        if not re.fullmatch(r"3\.[0-9]{1,2}", self.python):
            raise UserError(f"not a Python version: {self.python[:40]!r}", hint="expected for instance 3.11")
        if len(self.prefix) > _MAX_PREFIX or not _PREFIX.fullmatch(self.prefix):
            raise UserError(
                f"not a place for an environment: {self.prefix[:120]!r}",
                hint=f"expected an absolute path of plain letters, at most {_MAX_PREFIX} long, such as {PREFIX}",
            )

    @property
    def root(self) -> bytes:
        """The folder that our layers own; nothing above it is ever written to a layer."""
        return self.prefix[1:].encode()

    @property
    def interpreter(self) -> str:
        """What scripts have in their first line."""
        return f"{self.prefix}/bin/python"

    def folder(self, scheme: str, project: str) -> str:
        """Returns where a wheel's scheme goes (binary distribution format 1.0, "The .data directory"), relative to the prefix.

        Ends in `/`, or is empty for the prefix itself. `purelib` and `platlib` are one place, as in every virtual environment.
        """
        return {
            "purelib": f"lib/python{self.python}/site-packages/",
            "platlib": f"lib/python{self.python}/site-packages/",
            "scripts": "bin/",
            "headers": f"include/python{self.python}/{project}/",
            "data": "",
        }[scheme]

    def from_site_packages(self, scheme: str, project: str) -> str:
        """Returns the path relative to site-packages, as RECORD writes it; empty for site-packages itself."""
        if scheme in ("purelib", "platlib"):
            return ""
        return "../../../" + self.folder(scheme, project)
