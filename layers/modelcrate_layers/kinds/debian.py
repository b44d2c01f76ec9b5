"""The Debian base: the files of pinned packages as one layer. `packages.debian_base` decides which files."""

from __future__ import annotations

from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds import Materials
from modelcrate_layers.packages.pinned import Deb
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.recipe import key as layer_key
from modelcrate_layers.tar.tree import Tree

POLICY = 1
"""Raised with every change here that changes a byte of the layer; part of its key."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class DebianLayer:
    """A base of Debian packages, as a `LayerKind`. `release` is a code name, `python` a version such as 3.11."""

    release: str
    python: str
    debs: tuple[Deb, ...]
    distribution: str = "debian"

    @property
    def role(self) -> str:
        """The role of the layer."""
        return "base"

    @property
    def name(self) -> str:
        """The name of the layer, for people."""
        return f"{self.distribution} {self.release}, python {self.python}"

    def key(self) -> Digest:
        """Returns a key that is known before any package is fetched."""
        packages = sorted([each.package, each.version, each.architecture, each.sha256] for each in self.debs)
        return layer_key("debian", {"debs": packages, "policy": POLICY, "python": self.python})

    def inputs(self) -> tuple[str, ...]:
        """Returns the packages, and our rules."""
        return (*(f"{each.package} {each.version}" for each in self.debs), f"rules {writer.POLICY}.{POLICY}")

    def materials(self) -> Materials:
        """Returns the packages that the layer is made of."""
        return Materials(packages=self.debs)

    def tree(self) -> Tree:
        """Returns the files of the packages, which are unpacked into the cache where that was not done before.

        Raises:
            SourceError: Two packages own the same file.
        """
        from modelcrate_layers.packages import debian_base

        return debian_base.tree(self.debs, self.python)


def environment() -> dict[str, str]:
    """Returns the Env of the base's image config."""
    return {"LANG": "C.UTF-8", "PATH": PATH}


__all__ = ["PATH", "POLICY", "Deb", "DebianLayer", "environment"]
