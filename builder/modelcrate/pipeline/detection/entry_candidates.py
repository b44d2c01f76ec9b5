"""Python files of a folder as candidates for the entry script. They are parsed, and never imported or run."""

from __future__ import annotations

import ast
import codecs
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modelcrate.project.entry_check import bindings
from modelcrate_layers.errors import unreadable
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.named_file import open_named_file
from modelcrate_layers.patterns import compile_later

MAX_TEXT = 1 << 20
"""The largest script or configuration file that is read."""

_NAMES = {"score.py": 0, "main.py": 1}

_MEANT = compile_later(rb"^(?:async )?def (init|run)\b", re.MULTILINE)
"""What an entry script defines, in the text of one that can't be parsed."""

_APPS = {
    name.lower(): name
    for name in (
        "FastAPI",
        "Flask",
        "Streamlit",
        "Gradio",
        "BentoML",
        "aiohttp",
        "Sanic",
        "Starlette",
        "LitServe",
        "KServe",
        "Dash",
    )
}
"""Libraries of web applications and servers, by their modules: scripts that use them answer requests, but not through our server."""


@dataclass(frozen=True, slots=True)
class Script:
    """A Python file: the names it binds at its top, those of them that it imports, the modules it imports.

    Of one that can't be parsed, why; and the names `init` and `run`, where its text defines them.

    Of an application also the names at its top that are one, the methods that it calls with the port that they are given (0 for none),
    the dotted names of the modules that it imports, and whether it imports relatively, as a module of a package.
    """

    path: Path
    names: frozenset[str] = frozenset()
    borrowed: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    fault: str = ""
    apps: tuple[str, ...] = ()
    calls: Mapping[str, int] = field(default_factory=dict, hash=False)
    modules: frozenset[str] = frozenset()
    relative: bool = False

    @property
    def serves(self) -> bool:
        """Whether the script has both `init` and `run`."""
        return not self.fault and {"init", "run"} <= self.names

    @property
    def meant(self) -> bool:
        """Whether the script can't be parsed, and was meant to be the entry script."""
        return bool(self.fault) and (bool(self.names) or self.path.name in _NAMES)

    @property
    def app(self) -> str:
        """The library of web applications that the script uses; empty for none."""
        return next((shown for name, shown in _APPS.items() if name in self.imports), "")

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """The rank among candidates, the lower the better.

        score.py, main.py, others; what defines init or run, and what only imports them; in the folder itself, in src, elsewhere;
        then the shallower.
        """
        folder = self.path.parent
        place = 0 if folder == Path() else 1 if folder == Path("src") else 2
        return _NAMES.get(self.path.name, 2), int({"init", "run"} <= self.borrowed), place, len(self.path.parts)


def read_script(folder: Path, path: Path) -> Script:
    """Reads a file of the folder as a candidate."""
    data = read_some(folder / path, MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        return Script(path, fault=f"it is over {MAX_TEXT} bytes")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Script(path, fault="it is in UTF-16, which Python does not read; save it as UTF-8")
    meant = frozenset(each.decode() for each in _MEANT.findall(data))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except SyntaxError as fault:
        return Script(path, meant, fault=f"line {fault.lineno}: {fault.msg}" if fault.lineno else str(fault.msg))
    except (ValueError, RecursionError, MemoryError):
        return Script(path, meant, fault="it doesn't parse")
    bound = dict(bindings(tree.body))
    borrowed = (name for name, node in bound.items() if isinstance(node, ast.Import | ast.ImportFrom))
    made = Script(path, frozenset(bound), frozenset(borrowed), frozenset(_imports(tree)))
    if not made.app:
        return made
    relative = any(isinstance(node, ast.ImportFrom) and node.level for node in tree.body)
    return replace(
        made,
        apps=tuple(_made(tree, made.app)),
        calls=dict(_calls(tree)),
        modules=frozenset(_modules(tree)),
        relative=relative,
    )


def _modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _made(tree: ast.Module, kind: str) -> Iterator[str]:
    """Yields the names to which an application is assigned at the top."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            called = node.value.func
            if (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) == kind:
                yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _calls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yields the methods that are called, with the port that they are given as a number."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            ports = [each.value for each in node.keywords if each.arg in ("port", "server_port")]
            numbers = (each.value for each in ports if isinstance(each, ast.Constant) and isinstance(each.value, int))
            yield node.func.attr, next(numbers, 0)


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def almost_entry_scripts(scripts: Sequence[Script]) -> Iterator[str]:
    """Yields why the likeliest scripts are none. A script that only trains is not among them, nor a broken one that was meant for something else."""
    for script in sorted(scripts, key=lambda script: (script.rank, script.path))[:5]:
        if script.meant:
            yield f"{script.path} can't be parsed: {script.fault}"
        elif script.names & {"init", "run"}:
            one, other = ("init", "run(data)") if "init" in script.names else ("run", "init()")
            yield f"{script.path} defines {one}, but no {other}"
        elif script.path.name in _NAMES:
            app = f": it is an app of {script.app}, and here the server is in the image already" if script.app else ""
            yield f"{script.path} defines neither init() nor run(data){app}"


def read_some(path: Path, limit: int) -> bytes:
    """Returns the first bytes of a file, at most `limit`."""
    try:
        with open_named_file(path) as file:
            return file.read(limit)
    except OSError as fault:
        raise unreadable(fault, path) from None
