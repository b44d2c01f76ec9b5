"""The Python of a Debian base as a compiler: it runs from the packages in the cache, and makes bytecode of modules.

The Python of the base itself compiles, because two patch releases of one Python write different bytecode. It needs neither root nor a container:
its own dynamic linker starts it, so that it takes nothing of this machine but the kernel. Its files come from packages that were held
to their hashes, and are gone when it ends.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import BoundedSemaphore
from types import TracebackType
from typing import IO, Self

from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.errors import MachineError, SourceError
from modelcrate_layers.frozen import NamedTuple, dataclass
from modelcrate_layers.packages import compile_worker as worker
from modelcrate_layers.packages import deb as debs
from modelcrate_layers.packages.pinned import Deb
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.store import as_machine_error
from modelcrate_layers.tar.reader import MemberKind
from modelcrate_layers.tar.sources import Source, read
from modelcrate_layers.tar.tree import show

POLICY = 2
"""The rules of `compile_worker`: who changes a byte of bytecode raises it."""

MAX_SOURCE = 8 << 20
"""Bytes of a module that is compiled; a larger one is left out. The largest in common packages have some 2 MiB, and are data."""

MAX_COMPILED = 256 << 20
"""Bytes of the bytecode of one module."""

NEWEST = (3, 13)
"""The newest Python that writes marshal's version 2 of all code; from 3.14 on, that has no slices."""

_PROGRAM = "compile_worker.py"  # as a file: for a text in the command, newer Pythons import more of the library
_BATCH = 256 << 10
"""Bytes of sources that are compiled at a time: a millisecond and more for each, so that the way there costs little."""

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_BUSY = BoundedSemaphore(os.cpu_count() or 1)
"""Compilers of this process that run at once: one a processor."""

_LIBRARIES = compile_later(rb"(?:usr/)?lib/[^/]+-linux-gnu/(?:ld|lib(?:c|m|z|expat|dl|util|pthread))[-.][^/]*")
_MODULES = r"usr/lib/python{}/(?:(?:__future__|abc|codecs|io|os)\.py|encodings/[^/]+\.py|lib-dynload/_(?:codecs|multibyte)[^/]+\.so)"

_IMAGINARY = compile_later(rb"\d\.?[jJ](?!\w)")
_TOKEN = compile_later(rb"[\w.]+\Z")
_EXPONENT = compile_later(rb"[\d.][eE][-+]\Z")
_WHOLE = compile_later(rb"[ \t]*\d+(?![\w.])")
_PARENTHESES = compile_later(rb"\((?:[^A-Za-z_\"'\[\]{}]|(?<=[\d.])[eEjJxXoObB_][\da-fA-F_]*)*\)\Z")
_COMMENT = compile_later(rb"#[^\n]*")
_NO_NUMBER = compile_later(rb"[A-Za-z_]{2}[\s)]*\Z|[^\w.][A-Za-z_][\s)]*\Z")
_WINDOW = 1024
"""Bytes before a power in which its number begins."""


class Module(NamedTuple):
    """A module to compile.

    Attributes:
        path: Its path in the image, without the first slash.
        source: Its text.
        checked: Whether Python is to compare the source with the hash in the bytecode at each import.
    """

    path: bytes
    source: Source
    checked: bool


@dataclass(frozen=True, slots=True)
class Compiler:
    """A Python of Debian packages. `python` is its version, major and minor."""

    python: str
    debs: tuple[Deb, ...]

    @classmethod
    def of(cls, python: str, debs: Iterable[Deb]) -> Compiler:
        """Returns the compiler among the packages of a base."""
        wanted = {*_interpreter(python), "libc6", "libexpat1", "zlib1g"}
        return cls(python, tuple(each for each in debs if each.package in wanted))

    @property
    def version(self) -> str:
        """The version of its package, without the number of a rebuild for one architecture: the sources are the same."""
        name = _interpreter(self.python)[0]
        found = next((each.version for each in self.debs if each.package == name), "")
        return re.sub(r"\+b[0-9]+$", "", found)

    @property
    def tag(self) -> str:
        """What bytecode files have in their names: `cpython-311`."""
        return "cpython-" + self.python.replace(".", "")

    def run(self) -> CompilerRun:
        """Starts it, and returns a context manager that ends it.

        Raises:
            MachineError: It is for machines of another kind.
        """
        machine = _MACHINES.get(platform.machine(), platform.machine())
        wanted = next((each.architecture for each in self.debs if each.package == "libc6"), "")
        if sys.platform != "linux" or machine != wanted:
            raise MachineError(
                f"bytecode for Python {self.version} can't be compiled here",
                why=f"its compiler is Debian's Python for linux/{wanted}, and this is {sys.platform}/{machine}",
                hint="build on such a machine once, and layers are taken from the registry after that; or set bytecode: false",
            )
        return CompilerRun(self)


class CompilerRun:
    """A compiler that runs: up to one process a processor, each with its own queue. Not a frozen value: it owns processes."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler, self._count = compiler, os.cpu_count() or 1
        self._stack = ExitStack()
        self._idle: SimpleQueue[_Process] = SimpleQueue()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            root = stack.enter_context(_unpacked(self._compiler))
            self._pool = stack.enter_context(ThreadPoolExecutor(self._count, "compile"))
            self._started = [stack.enter_context(_Process(self._compiler, root)) for _ in range(self._count)]
            for each in self._started:
                self._idle.put(each)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if fault is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            for each in self._started:
                each.kill()
        self._stack.__exit__(kind, fault, trace)

    def compile(self, modules: Iterable[Module]) -> Iterator[tuple[Module, bytes]]:
        """Yields the modules with their bytecode, in their order; those that are left out are not among them.

        Raises:
            SourceError: A module ended the compiler.
        """
        for batch, answers in self._pool.map(self._answered, _batches(modules)):
            yield from ((each, made) for each, made in zip(batch, answers, strict=True) if made is not None)

    def _answered(self, batch: Sequence[Module]) -> tuple[Sequence[Module], list[bytes | None]]:
        process = self._idle.get()
        try:
            with _BUSY:
                return batch, process.ask(batch)
        finally:
            self._idle.put(process)


class _Process:
    """One process, which starts with the first request. Not a frozen value: it has pipes."""

    def __init__(self, compiler: Compiler, root: Path) -> None:
        self._compiler, self._root = compiler, root
        self._running: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            for pipe in (self._running.stdin, self._running.stdout, self._running.stderr):
                if pipe is not None:
                    pipe.close()
            self._running.wait()

    def kill(self) -> None:
        """Ends it at once."""
        if self._running is not None:
            self._running.kill()

    def ask(self, batch: Sequence[Module]) -> list[bytes | None]:
        """Sends modules, and returns their bytecode; None for one that is left out."""
        sources = [read(each.source) for each in batch]
        if self._running is None:
            self._running = self._start()
        assert self._running.stdin is not None and self._running.stdout is not None  # noqa: PT018
        try:
            self._running.stdin.write(b"".join(_request(batch, sources)))
            self._running.stdin.flush()
            return [_answer(self._running.stdout) for _ in batch]
        except (OSError, EOFError):
            raise self._ended(batch) from None

    def _start(self) -> subprocess.Popen[bytes]:
        root, name = self._root, f"python{self._compiler.python}"
        (linker,) = (root / "lib").glob("ld-linux-*")
        options = ["-S", "-s", "-B", "-X", "utf8", str(root / _PROGRAM)]
        command: list[str | Path] = [
            linker,
            "--inhibit-cache",
            "--library-path",
            root / "lib",
            root / "bin" / name,
            *options,
        ]
        pipe = subprocess.PIPE
        environment = {"PYTHONHASHSEED": "0", "PYTHONHOME": str(root)}  # else it may find this machine's library
        with as_machine_error(root):
            started = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=root, env=environment)
        assert started.stdout is not None
        self._running = started
        try:
            tag = _answer(started.stdout)
        except EOFError:
            raise self._ended(()) from None
        if tag != self._compiler.tag.encode():
            raise SourceError(f"the base's Python is {tag!r}, not {self._compiler.tag}")
        return started

    def _ended(self, batch: Sequence[Module]) -> MachineError | SourceError:
        assert self._running is not None and self._running.stderr is not None  # noqa: PT018
        self._running.kill()
        said = self._running.stderr.read(4096).decode(errors="replace").strip()
        code = self._running.wait()
        if not batch:
            return MachineError(f"the base's Python does not start here: it ended with {code}", why=said)
        names = ", ".join(show(each.path) for each in batch[:3])
        return SourceError(
            f"compiling {names}{f' or {len(batch) - 3} more' if len(batch) > 3 else ''} ended Python with {code}",
            why=said,
            hint="leave the package out, or set bytecode: false",
        )


def _interpreter(python: str) -> tuple[str, ...]:
    return f"python{python}-minimal", f"libpython{python}-minimal", f"libpython{python}-stdlib"


@contextmanager
def _unpacked(compiler: Compiler) -> Iterator[Path]:
    """Unpacks what the compiler needs of its packages, into a folder that is removed at the end."""
    modules = re.compile(_MODULES.format(re.escape(compiler.python)).encode())
    program = f"usr/bin/python{compiler.python}".encode()
    with scratch_folder(compiler.debs[0].path.parent) as root:
        with as_machine_error(root):
            for item in (item for each in compiler.debs for item in debs.items(debs.unpack(each))):
                if item.path == program:
                    _place(item, root / "bin" / os.fsdecode(item.path.rpartition(b"/")[2]))
                elif modules.fullmatch(item.path):
                    _place(item, root / os.fsdecode(item.path.removeprefix(b"usr/")))
                elif _LIBRARIES.fullmatch(item.path):
                    _place(item, root / "lib" / os.fsdecode(item.path.rpartition(b"/")[2]))
            (root / _PROGRAM).write_bytes(Path(worker.__file__).read_bytes())
        yield root


def _place(item: debs.Item, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if item.source is not None:
        with open(path, "xb") as file:
            file.writelines(item.source.chunks())
        path.chmod(0o700)
    elif item.kind is MemberKind.SYMLINK and b"/" not in item.link:
        path.symlink_to(os.fsdecode(item.link))


def _batches(modules: Iterable[Module]) -> Iterator[list[Module]]:
    batch: list[Module] = []
    size = 0
    for each in modules:
        if each.source.size > MAX_SOURCE:
            continue
        batch.append(each)
        size += each.source.size
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _request(batch: Sequence[Module], sources: Sequence[bytes]) -> Iterator[bytes]:
    yield len(batch).to_bytes(4, "little")
    for module, source in zip(batch, sources, strict=True):
        flags = module.checked * worker.CHECKED | _is_suspect(source) * worker.SEARCHED
        yield bytes([flags]) + len(source).to_bytes(4, "little")
        yield source


def _is_suspect(source: bytes) -> bool:
    """Returns whether a module may have powers of numbers, or complex numbers, that are computed while it is compiled.

    Most modules have neither, and their trees need not be searched.
    """
    if _IMAGINARY.search(source) is not None:
        return True
    at = source.find(b"**")
    while at >= 0:
        if _has_number_before(source, at):
            return True
        at = source.find(b"**", at + 2)
    return False


def _has_number_before(source: bytes, at: int) -> bool:
    """Returns whether what stands before a power may be a number. Whole powers of whole numbers are the same everywhere."""
    text = source[max(0, at - _WINDOW) : at]
    left = text.rstrip(b" \t\f\r\n\\")
    if b"\n" in text[len(left) :] and b"#" in left[left.rfind(b"\n") + 1 :]:
        return True
    if left.endswith(b")"):
        plain = _COMMENT.sub(b"", left)
        return _NO_NUMBER.search(plain) is None and _PARENTHESES.search(plain) is not None
    token = _TOKEN.search(left)
    if token is None or not token[0].lstrip(b".")[:1].isdigit():
        return False
    whole = token[0].isdigit() and _EXPONENT.search(left, 0, token.start()) is None
    return not (whole and _WHOLE.match(source, at + 2))


def _answer(pipe: IO[bytes]) -> bytes | None:
    length = int.from_bytes(_exactly(pipe, 4), "little")
    if length == worker.LEFT_OUT:
        return None
    if length > MAX_COMPILED:
        raise EOFError
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) != length:
        raise EOFError
    return data


__all__ = ["MAX_COMPILED", "MAX_SOURCE", "NEWEST", "POLICY", "Compiler", "CompilerRun", "Module"]
