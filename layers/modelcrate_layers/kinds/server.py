"""The layer of the server that calls the entry script. It is the same for every project, so a changed script does not change it."""

from __future__ import annotations

from functools import lru_cache

from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.kinds import Materials
from modelcrate_layers.packages.venv import PREFIX
from modelcrate_layers.tar import recipe, writer
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import FILE_MODE, PROGRAM_MODE, Tree, file

KIND = "server"
POLICY = 2


@dataclass(frozen=True, slots=True)
class ServerLayer:
    """The server's files, by their paths below the image's root. A file that begins with #! is a program."""

    files: tuple[tuple[str, bytes], ...] = field(repr=False)

    role = "server"
    name = "modelcrate's own"

    def key(self) -> Digest:
        """Returns the digest of all inputs: the files and the rules of this layer."""
        return _key(self.files)

    def materials(self) -> Materials:
        """Returns no files and no packages: the server is part of this program."""
        return Materials()

    def tree(self) -> Tree:
        """Returns the entries of the layer."""
        return Tree.of(
            [file(path.encode(), Bytes(data), _mode(data)) for path, data in self.files], [PREFIX[1:].encode()]
        )

    def inputs(self) -> tuple[str, ...]:
        """Returns what decides the layer: the files together, and the rules."""
        return (f"server {self.key().short}", f"rules {writer.POLICY}.{POLICY}")


@lru_cache(4)  # many projects of one run have the same server
def _key(files: tuple[tuple[str, bytes], ...]) -> Digest:
    listed = [[path, Digest.of(data).hex] for path, data in files]
    return recipe.key(KIND, {"files": listed, "policy": POLICY})


def _mode(data: bytes) -> int:
    return PROGRAM_MODE if data.startswith(b"#!") else FILE_MODE
