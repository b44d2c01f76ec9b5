"""Web applications of other frameworks among the Python files of a folder: how each is started, as a command of a project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from modelcrate.pipeline.detection.detect_sources import module_at
from modelcrate.pipeline.detection.entry_candidates import Script
from modelcrate.project.values import Command
from modelcrate.resolve.import_names import DISTRIBUTIONS, proposal
from modelcrate_layers.frozen import dataclass, field


@dataclass(frozen=True, slots=True)
class Framework:
    """How an application of one library is started.

    Attributes:
        argv: The program and its arguments: `{target}` is the module with its app, or the script.
        packages: What it takes, where the project declares nothing.
        port: The port that it listens on, where the script names none.
        app: Whether the program is given a module and the name of an app in it; else it is given the script.
        factories: Functions that make an app, which the program finds by itself.
        starts: Methods of which the script calls one, where it is an application and no module of one: that by which it starts itself, or puts something
            on its page.
        page: Whether it is a page for people, which is no program's first choice where there is an interface for programs, too.
        env: Variables without which it listens on 127.0.0.1 alone.
    """

    argv: tuple[str, ...]
    packages: tuple[str, ...]
    port: int = 8000
    app: bool = False
    factories: frozenset[str] = frozenset()
    starts: tuple[str, ...] = ()
    page: bool = False
    env: Mapping[str, str] = field(default_factory=dict, hash=False)


_EVERYWHERE = "0.0.0.0"  # noqa: S104 - 127.0.0.1 is the container itself
_UVICORN = ("uvicorn", "{target}", "--host", _EVERYWHERE, "--port", "{port}")
_SCRIPT = ("python3", "{target}")
_FRAMEWORKS = {
    "FastAPI": Framework(_UVICORN, ("fastapi", "uvicorn"), app=True),
    "Starlette": Framework(_UVICORN, ("starlette", "uvicorn"), app=True),
    "Flask": Framework(
        ("flask", "--app", "{target}", "run", "--host", _EVERYWHERE, "--port", "{port}"),
        ("flask",),
        app=True,
        factories=frozenset({"create_app", "make_app"}),
    ),
    "LitServe": Framework(_SCRIPT, ("litserve",), starts=("run",)),
    "KServe": Framework(_SCRIPT, ("kserve",), 8080, starts=("start",)),
    "aiohttp": Framework(_SCRIPT, ("aiohttp",), 8080, starts=("run_app",)),
    "Streamlit": Framework(
        ("streamlit", "run", "{target}", "--server.port", "{port}", "--server.headless", "true"),
        ("streamlit",),
        starts=("set_page_config", "title", "header", "markdown", "write"),
        page=True,
    ),
    "Gradio": Framework(
        _SCRIPT, ("gradio",), 7860, starts=("launch",), page=True, env={"GRADIO_SERVER_NAME": _EVERYWHERE}
    ),
    "Dash": Framework(_SCRIPT, ("dash",), 8050, starts=("run", "run_server"), page=True, env={"HOST": _EVERYWHERE}),
}
_NAMES = frozenset(
    {"app.py", "main.py", "server.py", "api.py", "streamlit_app.py", "wsgi.py", "asgi.py", "__init__.py"}
)
"""What such scripts are usually called."""

_WELL_KNOWN = frozenset({
    "catboost", "datasets", "diffusers", "fastai", "h5py", "httpx", "joblib", "lightgbm", "matplotlib", "nltk", "numpy", "onnx", "openai",
    "pandas", "plotly", "polars", "pyarrow", "pydantic", "requests", "scipy", "seaborn", "shap", "spacy", "statsmodels", "timm", "tokenizers",
    "torch", "torchaudio", "tqdm", "transformers", "ultralytics",
})  # fmt: skip
"""Modules of packages of the same name that applications with models import."""


@dataclass(frozen=True, slots=True)
class Application:
    """An application that can be started.

    Attributes:
        script: Its script.
        command: The command of a project.
        packages: What it takes, where the project declares nothing.
        env: Variables that it takes.
    """

    script: Script
    command: Command
    packages: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, hash=False)


def find_applications(scripts: Sequence[Script]) -> list[Application]:
    """Returns the applications that can be started, the likeliest first."""
    apps = sorted((each for each in scripts if each.app in _FRAMEWORKS), key=_rank)
    return [found for each in apps if (found := _application(each, scripts)) is not None]


def _rank(script: Script) -> tuple[int, bool, bool, Path]:
    return len(script.path.parts), _FRAMEWORKS[script.app].page, script.path.name not in _NAMES, script.path


def _application(script: Script, scripts: Sequence[Script]) -> Application | None:
    kind = _FRAMEWORKS[script.app]
    called = [each for each in kind.starts if each in script.calls]
    if kind.starts and not called:
        return None
    port = next(filter(None, map(script.calls.__getitem__, called)), kind.port)
    target, options = str(script.path), list[str]()
    if kind.app:
        name = next((each for each in ("app", "application", *script.apps) if each in script.names), "")
        if not name and kind.factories.isdisjoint(script.names):
            return None
        named = [root for root in _roots(script, scripts) if (parts := _parts(script.path, root))]
        if not named:
            return None
        folder = named[0]
        parts = _parts(script.path, folder)
        module = ".".join(parts)
        if kind.factories:  # the program finds the app, and takes a path
            target = module if folder == Path() else target
        else:
            target, options = f"{module}:{name}", ["--app-dir", str(folder)] if folder != Path() else []
    argv = (*(each.format(target=target, port=port) for each in kind.argv), *options)
    return Application(script, Command(argv, Path(), (port,)), _packages(script, scripts, kind), kind.env)


def _packages(script: Script, scripts: Sequence[Script], kind: Framework) -> tuple[str, ...]:
    """Returns the packages of a framework, and those by whose names the script imports more."""
    return tuple(dict.fromkeys((*kind.packages, *packages_of(script.imports, scripts))))


def _parts(path: Path, root: Path) -> tuple[str, ...]:
    """Returns the names of a script's module below a folder; none where one of them is no name in Python."""
    parts = path.relative_to(root).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return parts if all(map(str.isidentifier, parts)) else ()


def _roots(script: Script, scripts: Sequence[Script]) -> list[Path]:
    """Returns the folders that may be put on Python's path for a script: that where most of its imports are first, else the uppermost."""
    roots = [*reversed(script.path.parents)]  # the project's folder is the first
    if script.relative:
        roots.pop()
    places = {
        place
        for each in scripts
        if each.path != script.path
        for place in (each.path.with_suffix(""), *each.path.parents)
    }
    found = {root: sum(root.joinpath(*each.split(".")) in places for each in script.modules) for root in roots}
    return sorted(roots, key=lambda root: -found[root])


def packages_of(modules: Iterable[str], scripts: Sequence[Script]) -> tuple[str, ...]:
    """Returns the packages to require for well-known modules. Of another, a stranger's package may have the name: a build asks for it."""
    own = {module_at(each.path, root) for each in scripts for root in each.path.parents}
    return tuple(map(proposal, sorted((set(modules) & (DISTRIBUTIONS.keys() | _WELL_KNOWN)) - own)))
