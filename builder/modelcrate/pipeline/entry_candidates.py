"""Python files of a folder as candidates for the entry script. They are parsed, and never imported or run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelcrate_layers.errors import SourceError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.named_file import open_named_file

MAX_TEXT = 1 << 20
"""The largest script or configuration file that is read."""

_NAMES = {"score.py": 0, "main.py": 1}


@dataclass(frozen=True, slots=True)
class Script:
    """A Python file: the functions it defines at its top, what it imports, or why it can't be parsed."""

    path: Path
    functions: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    fault: str = ""

    @property
    def serves(self) -> bool:
        """Whether the script defines both `init` and `run`."""
        return {"init", "run"} <= self.functions

    @property
    def rank(self) -> tuple[int, int, int]:
        """The rank among candidates, the lower the better: score.py, main.py, others; in the folder itself, in src, elsewhere; then the shallower."""
        folder = self.path.parent
        place = 0 if folder == Path() else 1 if folder == Path("src") else 2
        return _NAMES.get(self.path.name, 2), place, len(self.path.parts)


def read_script(folder: Path, path: Path) -> Script:
    """Reads a file of the folder as a candidate."""
    data = read_some(folder / path, MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        return Script(path, fault=f"it is over {MAX_TEXT} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except SyntaxError as fault:
        return Script(path, fault=f"line {fault.lineno}: {fault.msg}")
    except (ValueError, RecursionError, MemoryError):
        return Script(path, fault="it doesn't parse")
    functions = (node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return Script(path, frozenset(functions), frozenset(_imports(tree)))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def almost_entry_scripts(scripts: Sequence[Script]) -> Iterator[str]:
    """Yields why the likeliest scripts are none. A script that only trains is not among them."""
    for script in sorted(scripts, key=lambda script: (script.rank, script.path))[:5]:
        if script.fault:
            yield f"{script.path} can't be parsed: {script.fault}"
        elif script.functions & {"init", "run"}:
            one, other = ("init", "run(data)") if "init" in script.functions else ("run", "init()")
            yield f"{script.path} defines {one}, but no {other}"
        elif script.path.name in _NAMES:
            yield f"{script.path} defines neither init() nor run(data)"


def read_some(path: Path, limit: int) -> bytes:
    """Returns the first bytes of a file, at most `limit`."""
    try:
        with open_named_file(path) as file:
            return file.read(limit)
    except OSError as fault:
        raise SourceError(f"can't read the file: {fault.strerror}", where=str(path)) from None
