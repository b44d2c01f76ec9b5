"""The bytecode of a package: compiled once, and kept as a tar beside the package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from modelcrate_layers.content import Digest, canonical_json
from modelcrate_layers.packages import checked
from modelcrate_layers.packages.compiler import POLICY, Compiler, Module
from modelcrate_layers.packages.pinned import Package
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.reader import read_tar
from modelcrate_layers.tar.sources import Bytes, FileRange, Source
from modelcrate_layers.tar.tree import file


def compile_package(compiler: Compiler, package: Package, modules: Sequence[Module]) -> Iterator[tuple[bytes, Source]]:
    """Yields paths of modules with their bytecode; those that are left out are not among them.

    Args:
        compiler: The compiler. It runs only where the cache has nothing that is valid (`checked.unpack`).
        package: The package that has the modules.
        modules: The modules, all from this package.

    Raises:
        MachineError: The compiler does not run here.
        SourceError: A module ended the compiler.
    """
    question = [POLICY, compiler.version, [[each.path.hex(), each.checked] for each in modules]]
    name = Digest.of(canonical_json(question)).hex[:32]
    tar = Path(package.path).with_suffix(f".{name}.pyc.tar")
    checked.unpack(package, {tar: _tar(compiler, modules)})
    whole = FileRange.of_file(str(tar))
    for member in read_tar(whole.chunks(), held=True):
        yield member.name, FileRange(whole.path, whole.stamp, member.offset, member.size)


def _tar(compiler: Compiler, modules: Sequence[Module]) -> Iterator[bytes]:
    """A tar of bytecode under the paths of the modules."""
    with compiler.run() as run:
        yield from writer.stream(file(module.path, Bytes(made)) for module, made in run.compile(modules))
