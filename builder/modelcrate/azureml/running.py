"""`python -m modelcrate.azureml.running SCRIPT ARGS`: a script of the original's, unchanged, in this process (`modelcrate azureml run`).

The script is `__main__`, its folder is first on the path, and its exit code is the process's. What it raises is shown as Python would
show it: with the script's own frames; of an error of modelcrate's, without modelcrate's.
"""

from __future__ import annotations

import sys
import traceback
from functools import partial
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from modelcrate.azureml import importing, offline_run
from modelcrate_layers.errors import CrateError

_OURS = ("modelcrate.", "modelcrate_layers.")


def run(script: str, arguments: list[str]) -> None:
    """Runs a script as Python would run it.

    Args:
        script: The path.
        arguments: Its arguments.

    Raises:
        BaseException: What the script raises.
    """
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(Path(script).resolve().parent))
    importing.install()
    main = ModuleType("__main__")
    sys.excepthook = partial(show, vars(main))
    main.__file__, main.__builtins__ = script, __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    exec(_compiled(script), vars(main))  # noqa: S102 - it is what the user asks for


def show(script: dict[str, Any], kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    """Prints an exception from the script's first frame on; without a frame of it, the exception alone.

    Args:
        script: The names of the script's module.
        kind: The class of the exception.
        fault: The exception.
        trace: Its frames.
    """
    found = trace
    while found is not None and found.tb_frame.f_globals is not script:
        found = found.tb_next
    if isinstance(fault, CrateError) or _last_module(found) in (importing.__name__, offline_run.__name__):
        found = _without_ours(found)
    traceback.print_exception(kind, fault.with_traceback(found), found)


def _last_module(trace: TracebackType | None) -> str:
    """Returns the module in which an exception was raised."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """Returns the frames before the first one of modelcrate."""
    frames = []
    while trace is not None and not str(trace.tb_frame.f_globals.get("__name__", "")).startswith(_OURS):
        frames.append(trace)
        trace = trace.tb_next
    kept: TracebackType | None = None
    for each in reversed(frames):
        kept = TracebackType(kept, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return kept


def _compiled(script: str) -> CodeType:
    return compile(Path(script).read_bytes(), script, "exec", dont_inherit=True)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
