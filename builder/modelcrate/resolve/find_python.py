"""Finds the Python of an existing base and its C library: in its layers, and only where these can't be read, by its config."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from modelcrate.events import Emit, Notice
from modelcrate.images.image import ImageLayer
from modelcrate.images.image_config import environment
from modelcrate.resolve.base_python import (
    Interpreter,
    find_interpreter,
    find_libc,
    follow,
    interpreters,
    lacking_modules,
    names,
    unfit,
)
from modelcrate.resolve.layer_index import listed_paths
from modelcrate.resolve.resolved_base import HIDING, ResolvedBase
from modelcrate.resolve.scan import LayerScan, ScannedFile, merged, recall, says_nothing, scan
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.patterns import compile_later

MAX_FETCHED = 512 << 20
"""Bytes of a registry's layers that are fetched to find a base's Python. An image with more is taken by its config."""

_PYTHON_PROGRAM = compile_later(r"python(?:3(?:\.[0-9]{1,2})?)?")
_AT_EVERY_START = frozenset({"abc", "codecs", "encodings", "io", "os", "site", "stat"})
"""Modules that are imported before a program is, by every Python from 3.9 on."""

_CLAIMED_PYTHON = "/usr/local/bin/python"
"""Where the images that set PYTHON_VERSION have their Python: Docker's official ones, and those made from them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The Python of the base, as far as the project names it.

    Attributes:
        interpreter: Its path; None: it is searched.
        python: Its version, major and minor; None: any.
    """

    interpreter: PurePosixPath | None = None
    python: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """The files of a base that decide how Python runs on it.

    Attributes:
        files: By their paths below the root.
        unread: Bytes of the layers that were not read.
        modules: The paths of all modules of a standard library that a layer has, whether another hides them or not.
    """

    files: Mapping[str, ScannedFile]
    unread: int = 0
    modules: frozenset[str] = frozenset()

    @classmethod
    def of(cls, scans: Iterable[LayerScan], unread: int = 0) -> Look:
        """Returns what layers have together, lowest first."""
        scans = tuple(scans)
        modules = (file.path for each in scans for file in each.files if file.kind == "module")
        return cls(merged(scans), unread, frozenset(modules))


def find_python(below: ResolvedBase, wanted: Wanted, look: Look, emit: Emit) -> ResolvedBase:
    """Returns the base with its Python and its C library; what was not verified is a notice.

    Raises:
        UserError: The base has no such interpreter, or one of another version.
    """
    found = _choose(below, wanted, look)
    if found is None and not look.unread:
        _refuse_missing(below, wanted, look, emit)
    if found is not None:
        below = _with(below, found.path, found.python, wanted.python)
        lacking = lacking_modules(look.files, look.modules, found, complete=not look.unread)
        _check_starts(below, lacking)
        below = replace(below, lacking=lacking)
    elif wanted.interpreter is not None or look.unread:
        below = _as_claimed(below, wanted)
    libc = find_libc(look.files, found.loader if found is not None else "")
    if libc is not None and libc.name == "musl":
        below = replace(below, musl=libc.version)
    elif libc is not None:
        below = replace(below, glibc=libc.version)
    for name, value in environment(below.config).items():
        if name in HIDING and value:
            emit(Notice(f"the base {below.name} sets {name}={value[:80]}, which is not kept: {HIDING[name]}"))
    if below.interpreter and below.python:
        for text in _unverified(below, found is not None, libc is not None, look):
            emit(Notice(text))
    return below


def look_at(layers: Sequence[ImageLayer], cache: Path, emit: Emit, *, held: bool = True) -> Look:
    """Scans all layers of a base on this machine, which checks their bytes as well; `held` as in `scan`."""
    return Look.of(scan(layer, cache, emit, held=held) for layer in layers)


def look_at_remote(
    below: ResolvedBase, wanted: Wanted, cache: Path, emit: Emit, received: Callable[[], Mapping[Digest, LayerScan]]
) -> Look:
    """Scans as few layers of a base in a registry as the answer takes.

    From the top down until the interpreter is found, so that no layer above can hide it; then from the bottom up until the C
    library is. Layers that were scanned before are not fetched again, nor those whose scans are `received` from others, and of one with a
    table of contents (eStargz, zstd:chunked) no more than the table, where that shows nothing that is looked for.
    """
    layers = below.layers
    scans: dict[int, LayerScan] = {}
    for number, layer in enumerate(layers):
        if (known := recall(layer, cache)) is not None:
            scans[number] = known
    left = MAX_FETCHED

    def look() -> Look:
        unread = sum(layer.layer.descriptor.size for number, layer in enumerate(layers) if number not in scans)
        return Look.of((scans[number] for number in sorted(scans)), unread)

    def python_is_found() -> bool:
        return _choose(below, wanted, look()) is not None

    def libc_is_found() -> bool:
        found = _choose(below, wanted, look())
        return found is None or find_libc(look().files, found.loader) is not None

    numbers = range(len(layers))
    down: tuple[Iterable[int], Callable[[], bool]] = (reversed(numbers), python_is_found)
    up: tuple[Iterable[int], Callable[[], bool]] = (numbers, libc_is_found)
    for order, is_done in (down, up):
        for number in order:
            if is_done():
                break
            size = layers[number].layer.descriptor.size
            if number in scans:
                continue
            if (told := received().get(layers[number].layer.diff_id)) is not None:
                scans[number] = told
            elif (paths := listed_paths(layers[number])) is not None and says_nothing(paths):
                scans[number] = LayerScan()
            elif size <= left:
                scans[number] = scan(layers[number], cache, emit)
                left -= size
    return look()


def _choose(below: ResolvedBase, wanted: Wanted, look: Look) -> Interpreter | None:
    """Returns the interpreter that is named, else one of the wanted version, else the first on the base's PATH."""
    if wanted.interpreter is not None:
        return find_interpreter(look.files, str(wanted.interpreter))
    path = environment(below.config).get("PATH", "").split(":")
    found = interpreters(look.files, [folder for folder in path if folder.startswith("/")])
    fitting = [each for each in found if wanted.python in (None, each.python)]
    return next(iter(fitting or found), None)


def _refuse_missing(below: ResolvedBase, wanted: Wanted, look: Look, emit: Emit) -> None:
    """Raises a UserError if the base, which was read to its end, has nothing at the path that is named.

    A program of another name than Python's may be one all the same. Where none is named, the Pythons that don't do are told.
    """
    others = unfit(look.files)
    found = interpreters(look.files, [])
    hint = "name one of them as the base's interpreter" if found else "take a base with Python in it"
    if wanted.interpreter is not None and (why := others.get(f"/{follow(look.files, str(wanted.interpreter))}")):
        raise UserError(
            f"{wanted.interpreter} of the base {below.name} {why}", why=f"Pythons in it: {names(found)}", hint=hint
        )
    if wanted.interpreter is not None and _PYTHON_PROGRAM.fullmatch(wanted.interpreter.name):
        raise UserError(
            f"the base {below.name} has no {wanted.interpreter}",
            why=f"Pythons in it: {names(found)}",
            hint=hint,
        )
    if wanted.interpreter is None:
        for path, why in others.items():
            emit(Notice(f"{path} of the base {below.name} {why}"))


def _check_starts(below: ResolvedBase, lacking: frozenset[str]) -> None:
    """Refuses a base whose Python lacks what every Python imports when it starts."""
    if needed := sorted(lacking & _AT_EVERY_START):
        raise UserError(
            f"the Python of the base {below.name} does not start: its library lacks {', '.join(needed)}",
            why=f"no layer of the base has them below the library of {below.interpreter}, or one takes them away",
            hint="take a base with a whole Python; in a Dockerfile, remove nothing of its library but tests",
        )


def _as_claimed(below: ResolvedBase, wanted: Wanted) -> ResolvedBase:
    """Returns the base with the Python that the project names, or else the config of the base."""
    if wanted.interpreter is not None:
        version = re.search(r"python(3\.[0-9]+)$", str(wanted.interpreter))
        return _with(below, str(wanted.interpreter), wanted.python or (version[1] if version else ""))
    claimed = re.match(r"(3\.[0-9]+)\b", environment(below.config).get("PYTHON_VERSION", ""))
    if claimed is None:
        return below
    return _with(below, f"{_CLAIMED_PYTHON}{claimed[1]}", claimed[1], wanted.python)


def _with(below: ResolvedBase, interpreter: str, version: str, wanted: str | None = None) -> ResolvedBase:
    if wanted is not None and wanted != version:
        raise UserError(
            f"the project asks for Python {wanted}, and the base {below.name} brings {version}",
            why=f"its Python is {interpreter}",
            hint="change one of them; wheels are chosen for one Python",
        )
    return replace(below, interpreter=interpreter, python=version)


def _unverified(below: ResolvedBase, has_python: bool, has_libc: bool, look: Look) -> Iterator[str]:
    """Yields what was taken without a look at the files, and why."""
    size = f"{look.unread / 1e6:.0f} MB of its layers were not fetched" if look.unread else "its files do not tell"
    if not has_python:
        yield f"not verified: the base {below.name} has Python {below.python} at {below.interpreter} ({size})"
    if not has_libc:
        glibc = ".".join(map(str, below.glibc))
        yield f"not verified: the base {below.name} has glibc {glibc} or newer, for which wheels are chosen ({size})"
