"""The Python code that a command line starts: a script, a module, or the module with an app that a server is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

SERVERS: Mapping[str, str] = {
    "uvicorn": "uvicorn",
    "gunicorn": "gunicorn",
    "hypercorn": "hypercorn",
    "granian": "granian",
    "daphne": "daphne",
    "waitress-serve": "waitress",
    "flask": "flask",
    "fastapi": "fastapi-cli",
    "litestar": "litestar",
    "streamlit": "streamlit",
    "celery": "celery",
    "bentoml": "bentoml",
    "mlflow": "mlflow",
    "panel": "panel",
    "gradio": "gradio",
    "litserve": "litserve",
    "jupyter": "jupyter-core",
    "ray": "ray",
    "serve": "ray",
}
"""Programs that are commands of a package, and the package."""

_APPS = frozenset({"uvicorn", "gunicorn", "hypercorn", "granian", "daphne", "waitress-serve"})
"""Servers that are given MODULE:NAME."""

_SCRIPTS = frozenset({"streamlit", "fastapi"})
"""Programs that are given a script after a word such as `run`."""

_PYTHON = compile_later(r"python(3(\.[0-9]{1,2})?)?")
_VALUED = frozenset(["-W", "-X", "--check-hash-based-pycs"])
_APP = compile_later(r"(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_][\w.]*(\(.*\))?)")
_FOLDERS = ("--app-dir", "--chdir", "--working-dir")
_APP_OPTIONS = ("--app", "-A")


@dataclass(frozen=True, slots=True)
class StartedCode:
    """What a command line starts.

    Attributes:
        program: The program by its name, without its folder.
        script: The script, as it is named; empty for none.
        module: The dotted module; empty for none.
        main: Whether the module is run as a program (`python -m`).
        name: The app in the module; empty for none.
        folder: The folder that the program changes to or imports from, as it is named; empty for none.
    """

    program: str
    script: str = ""
    module: str = ""
    main: bool = False
    name: str = ""
    folder: str = ""


def started_code(argv: Sequence[str]) -> StartedCode:
    """Returns what a command line starts. What is not known to start Python code is its program alone."""
    if not argv:
        return StartedCode("")
    program, rest = PurePosixPath(argv[0]).name, list(argv[1:])
    if program == "env" and rest:
        while len(rest) > 1 and "=" in rest[0]:
            rest.pop(0)
        return started_code(rest)
    if program == "exec" and rest:
        return started_code(rest)
    if _PYTHON.fullmatch(program):
        return _of_python(program, rest)
    if program in _APPS or program == "flask":
        return _of_server(program, rest)
    if program in _SCRIPTS:
        script = next((each for each in rest if each.endswith(".py")), "")
        return StartedCode(program, script=script)
    return StartedCode(program)


def _of_python(program: str, rest: list[str]) -> StartedCode:
    while rest and rest[0].startswith("-") and rest[0] not in ("-", "-c", "-m"):
        option = rest.pop(0)
        if option in _VALUED and rest:
            rest.pop(0)
    if len(rest) > 1 and rest[0] == "-m":
        if rest[1] in _APPS or rest[1] == "flask":
            return _of_server(rest[1], rest[2:])
        return StartedCode(program, module=rest[1], main=True)
    if rest and not rest[0].startswith("-"):
        return StartedCode(program, script=rest[0])
    return StartedCode(program)


def _of_server(program: str, rest: list[str]) -> StartedCode:
    folder = next((_value(rest, at) for at, each in enumerate(rest) if each.partition("=")[0] in _FOLDERS), "")
    if program == "flask":
        app = next((_value(rest, at) for at, each in enumerate(rest) if each.partition("=")[0] in _APP_OPTIONS), "")
        if app.endswith(".py"):
            return StartedCode(program, script=app)
        module, _, name = app.partition(":")
        return StartedCode(program, module=module, name=name)
    found = next((match for each in rest if (match := _APP.fullmatch(each))), None)
    if found is None:
        return StartedCode(program, folder=folder)
    return StartedCode(program, module=found["module"], name=found["name"].partition("(")[0], folder=folder)


def _value(rest: Sequence[str], at: int) -> str:
    """Returns the value of an option, behind its `=` or in the next word."""
    _, equal, value = rest[at].partition("=")
    return value if equal else rest[at + 1] if at + 1 < len(rest) else ""
