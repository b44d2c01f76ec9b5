"""The layers of bytecode of an image whose base is made of Debian packages: its own Python compiles them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modelcrate.resolve.debian.releases import DebianRelease
from modelcrate.resolve.resolved_base import ResolvedBase
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import replace
from modelcrate_layers.kinds.bytecode import BytecodeLayer
from modelcrate_layers.kinds.debian import DebianLayer
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.packages.compiler import NEWEST, Compiler


def with_compiler(below: ResolvedBase, layer: DebianLayer, release: DebianRelease) -> ResolvedBase:
    """Returns a base with the bytecode of its library, and with what compiles that of all layers above it.

    Raises:
        UserError: Its Python is not the release's own, or is too new.
    """
    if below.interpreter != f"/usr/bin/python{release.python}":
        raise _refused(f"the image's Python is {below.interpreter}, and not that of {release}")
    if tuple(map(int, release.python.split("."))) > NEWEST:
        newest = ".".join(map(str, NEWEST))
        raise _refused(
            f"Python {release.python} writes bytecode that depends on what else it compiles; {newest} does not"
        )
    compiler = Compiler.of(release.python, layer.debs)
    return replace(below, kinds=(*below.kinds, BytecodeLayer(layer, compiler)), compiler=compiler)


def wheel_bytecode(below: ResolvedBase, wheels: Iterable[WheelsLayer], *, own_python: bool) -> Iterator[BytecodeLayer]:
    """Yields the bytecode of wheels, if the image is to have it. It is above all of them, so that they are the same stack without it.

    Raises:
        UserError: Conda's packages bring the Python of the image.
    """
    if below.compiler is None:
        return
    if own_python:
        raise _refused("the image's Python is conda's")
    for each in wheels:
        # a file of one wheel may cover one of another, whose bytecode would count for it
        yield BytecodeLayer(each, below.compiler, checked=each.on_conflict == "last")


def _refused(why: str) -> UserError:
    return UserError(
        "'bytecode' is compiled by the Python of the base's release alone", why=why, hint="leave 'bytecode' out"
    )
