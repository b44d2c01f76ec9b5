"""The layer that makes a virtual environment of the base's Python and our prefix: a few hundred bytes.

It alone has the place of the base's interpreter, so that the layers of wheels are the same on every base.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelcrate_layers.content import Digest
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds import Materials
from modelcrate_layers.packages.conflicts import ENVIRONMENT, Owned
from modelcrate_layers.packages.venv import PREFIX, Venv
from modelcrate_layers.tar import recipe
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Kind, Tree, file, symlink

KIND = "runtime"
POLICY = 1

_CONFIG = """\
home = {home}
include-system-site-packages = false
"""
"""PEP 405: `home` is the folder of the interpreter, from which Python finds its standard library."""


@dataclass(frozen=True, slots=True)
class RuntimeLayer:
    """`pyvenv.cfg` and the links to `interpreter`, an absolute path in the base; by default Debian's place."""

    python: str
    interpreter: str = ""
    prefix: str = PREFIX

    @property
    def role(self) -> str:
        """The role of the layer."""
        return "dependencies"

    @property
    def name(self) -> str:
        """The name of the layer, for people."""
        return f"python {self.python} environment"

    def key(self) -> Digest:
        """Returns the digest of all that decides the bytes."""
        inputs = {
            "interpreter": self._target(),
            "policy": POLICY,
            "prefix": self.prefix,
            "python": self.python,
        }
        return recipe.key(KIND, inputs)

    def materials(self) -> Materials:
        """Returns no files and no packages: the layer is made from its settings alone."""
        return Materials()

    def tree(self) -> Tree:
        """Returns the entries of a virtual environment without packages (PEP 405)."""
        venv, target = Venv(self.python, self.prefix), self._target()
        config = _CONFIG.format(home=target.rpartition("/")[0] or "/")
        return Tree.of(
            [
                file(venv.root + b"/pyvenv.cfg", Bytes(config.encode())),
                symlink(venv.root + b"/bin/python", target.encode()),
                symlink(venv.root + b"/bin/python3", b"python"),
                symlink(venv.root + f"/bin/python{self.python}".encode(), b"python"),
            ],
            roots=(venv.root,),
        )

    def inputs(self) -> tuple[str, ...]:
        """Returns the interpreter that the environment uses."""
        return (f"interpreter {self._target()}",)

    def installed(self) -> Iterator[Owned]:
        """Yields the links: they belong to no package."""
        links = (each for each in self.tree().entries if each.kind is not Kind.DIRECTORY)
        return (Owned(ENVIRONMENT, each) for each in links)

    def notices(self) -> tuple[str, ...]:
        """Returns no notices."""
        return ()

    def _target(self) -> str:
        target = self.interpreter or f"/usr/bin/python{self.python}"
        parts = target.split("/")
        if not target.startswith("/") or not target.isprintable() or {"", ".", ".."} & set(parts[1:]):
            raise UserError(f"not the path of an interpreter: {target[:200]!r}", hint="expected an absolute path")
        return target
