"""Layers of bytecode: what Python makes of the modules in another layer, so that no start of a container has to make it.

Such a layer stands beside the one with the modules, whose bytes do not change with it. It is a pure function of that layer and of the version
of the Python that compiles, which is the image's own.

| decision         | value                               | why                                                                     |
|------------------|-------------------------------------|-------------------------------------------------------------------------|
| validity         | by hash (PEP 552), not by time      | a layer's files have one time                                           |
| of packages      | the hash is not checked             | a start reads no source; pip and uv remove bytecode with its module     |
| of the user      | the hash is checked                 | who mounts or copies another script over one gets that script           |
| optimisation     | none                                | as pip does it                                                          |
| left out         | tests, and of the library idlelib and the like | no server imports them                                       |
| also left out    | what `compile_worker` leaves out    | its bytes would differ between machines                                 |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcrate_layers.content import Digest, canonical_json
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds import LayerKind, Materials
from modelcrate_layers.packages.conflicts import Owned
from modelcrate_layers.packages.pinned import Deb, Package
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar import recipe, writer
from modelcrate_layers.tar.sources import Bytes, FileRange, Source, ZipMember
from modelcrate_layers.tar.tree import Entry, Kind, Tree, file

if TYPE_CHECKING:
    from modelcrate_layers.packages.compiler import Compiler, Module

KIND = "bytecode"
POLICY = 2
"""The rules of this layer and of `packages.compiler`, which are repeated here so that a key is known without importing it."""

SHARE = 5
"""One part in so many of a layer's packages is what its bytecode takes, about: measured with numpy, scipy and scikit-learn."""

_PLACES: Mapping[str, bytes] = {
    "base": rb"usr/lib/python[0-9.]+/",
    "dependencies": rb".*/site-packages/",
    "server": rb"",
    "entry": rb"",
}
"""Where modules are that Python imports, by the role of their layer."""

_LEFT_OUT = compile_later(
    rb"(.*/)?tests?/.*"
    rb"|usr/lib/python[0-9.]+/(idlelib|lib2to3|turtledemo|ensurepip|pydoc_data)/.*"
    rb"|.*/site-packages/(docs?|examples?|benchmarks?)/.*",  # several packages may own files there (`conflicts`)
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class BytecodeLayer:
    """The bytecode of the modules in another layer.

    Attributes:
        of: The layer with the modules.
        compiler: The Python of the image.
        checked: Whether Python is to compare each source with the bytecode when it imports it.
    """

    of: LayerKind
    compiler: Compiler
    checked: bool = False

    @property
    def role(self) -> str:
        """The role of the other layer."""
        return self.of.role

    @property
    def name(self) -> str:
        """The name of the layer, for people."""
        return f"bytecode of {self.of.name}"

    def key(self) -> Digest | None:
        """Returns a key that is known before any package is fetched; None where the other layer has none."""
        key = self.of.key()
        return None if key is None else recipe.key(KIND, {**self._rules(), "of": str(key)})

    def materials(self) -> Materials:
        """Returns what the other layer is made of, and the packages of the compiler."""
        of = self.of.materials()
        packages = {each.sha256: each for each in (*of.packages, *self.compiler.debs)}
        state = Digest.of(canonical_json([of.fingerprint, self._rules()])).hex if of.fingerprint else ""
        return Materials(tuple(packages.values()), of.parts, of.files, state, estimate=of.size // SHARE)

    def tree(self) -> Tree:
        """Returns the bytecode, which is compiled unless the cache has it. The packages must have been fetched.

        Raises:
            MachineError: The compiler does not run here.
            SourceError: A module ended the compiler.
        """
        below = self.of.tree()
        inside = re.compile(_PLACES[self.role] + rb"[^\0]*\.py")
        modules = [
            each
            for each in below.entries
            if each.kind is Kind.FILE and inside.fullmatch(each.path) and not _LEFT_OUT.fullmatch(each.path)
        ]
        by_path = {each.path: each for each in modules}
        found = [
            file(_beside(path, self.compiler.tag), source, by_path[path].mode & 0o666)
            for path, source in self._compiled(modules)
        ]
        return Tree.of([*found, *_folders(found, below)], below.roots)

    def inputs(self) -> tuple[str, ...]:
        """Returns the inputs of the other layer, the compiler, and our rules."""
        return (*self.of.inputs(), f"compiler {self.compiler.version}", f"rules {writer.POLICY}.{POLICY}")

    def installed(self) -> Iterator[Owned]:
        """Yields nothing: bytecode belongs to the module beside it."""
        return iter(())

    def notices(self) -> Iterator[str]:
        """Yields nothing: the other layer has said it."""
        return iter(())

    def _rules(self) -> dict[str, Any]:
        return {"checked": self.checked, "policy": POLICY, "python": self.compiler.version}

    def _compiled(self, entries: Iterable[Entry]) -> Iterator[tuple[bytes, Source]]:
        """Yields paths of modules with their bytecode: of packages out of the cache, of the rest made now."""
        from modelcrate_layers.packages.bytecode import compile_package
        from modelcrate_layers.packages.compiler import Module

        owners = {_contents(each): each for each in self.of.materials().packages}
        owned: dict[Package | None, list[Module]] = {}
        for each in entries:
            assert each.source is not None
            owner = owners.get(each.source.path) if isinstance(each.source, FileRange | ZipMember) else None
            owned.setdefault(owner, []).append(Module(each.path, each.source, self.checked))
        for package, modules in owned.items():
            if package is None:
                yield from _compile_few(self.compiler, tuple(modules))
            else:
                yield from compile_package(self.compiler, package, modules)


@lru_cache(maxsize=4)
def _compile_few(compiler: Compiler, modules: tuple[Module, ...]) -> tuple[tuple[bytes, Source], ...]:
    """Compiles modules that are in no package. A build asks for them more than once: for the layer, and for its bill."""
    with compiler.run() as run:
        return tuple((module.path, Bytes(made)) for module, made in run.compile(modules))


def _contents(package: Package) -> str:
    """The file that entries of a package are ranges or members of."""
    path = Path(package.path)
    return str(path.with_suffix(".tar") if isinstance(package, Deb) else path)


def _beside(path: bytes, tag: str) -> bytes:
    folder, _, name = path.rpartition(b"/")
    return b"%b%b__pycache__/%b.%b.pyc" % (folder, b"/" if folder else b"", name[:-3], tag.encode())


def _folders(found: Iterable[Entry], below: Tree) -> Iterator[Entry]:
    """Yields the folders of bytecode as the other layer has them, and the new ones with the rights of those that they are in."""
    there = {each.path: each for each in below.entries if each.kind is Kind.DIRECTORY}
    seen: set[bytes] = set()
    for each in found:
        cache = each.path.rpartition(b"/")[0]
        path = cache.rpartition(b"/")[0]
        if cache not in seen and path in there:
            seen.add(cache)
            yield there[path]._replace(path=cache)
        while path and path not in seen and path in there:
            seen.add(path)
            yield there[path]
            path = path.rpartition(b"/")[0]
