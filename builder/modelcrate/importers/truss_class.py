"""A Truss with a model class: the entry script that calls it, and what of the configuration is about that."""

from __future__ import annotations

import keyword
import math
from collections.abc import Mapping
from pathlib import Path

from modelcrate.importers.keys import Keys
from modelcrate.importers.project_parts import RUNS_ELSEWHERE, inside
from modelcrate.importers.reading import Reading
from modelcrate.importers.requirement_lines import Needs, make_needs
from modelcrate.importers.secrecy import holds_secret, is_secret, is_secret_name, tell_name
from modelcrate.importers.truss_adapter import OFFERED, STEPS, Place, adapter_text
from modelcrate.importers.truss_engine import engine_project
from modelcrate.importers.truss_model import UNKNOWN, ModelClass, read_class
from modelcrate.project.contracts import APP_ROOT
from modelcrate.project.serving import Serving
from modelcrate.project.values import Entry, Project
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import replace

SCRIPT = "truss_score.py"
_SERVERS = {
    "numpy": "numpy>=1.23.5,<2",
    "yaml": "pyyaml",
    "requests": "requests",
    "joblib": "joblib",
    "httpx": "httpx",
    "aiohttp": "aiohttp",
    "aiofiles": "aiofiles",
    "msgpack": "msgpack",
    "psutil": "psutil",
    "loguru": "loguru",
    "pydantic": "pydantic",
    "fastapi": "fastapi",
    "starlette": "starlette",
    "prometheus_client": "prometheus-client",
}
"""Modules that Truss's own server brings, so that models import them without naming a package, and the requirement for each."""

_RUNTIME = {
    "streaming_read_timeout": "server: {timeout: 60s} limits one call of run",
    "enable_tracing_data": "server: {metrics: true} counts requests and times",
    "enable_debug_logs": "env: {LOG_LEVEL: debug}, for a program that looks at it",
    "health_checks": RUNS_ELSEWHERE,
    "truss_server_version_override": "Truss's server is not in the image",
    "num_workers": "server: {workers: 2}",
    **dict.fromkeys(("oidc", "remote_ssh", "egress_restrictions"), RUNS_ELSEWHERE),
}


_BUILDING = frozenset(
    {"build", "build_commands", "base_image", "external_data", "external_package_dirs", "training_checkpoints"}
)
"""Keys that serve building or Baseten alone, so that no class looks at them."""

_MORE = (
    "chat_completions",
    "completions",
    "embeddings",
    "messages",
    "responses",
    "websocket",
    "is_healthy",
    "setup_environment",
)
"""Methods that Truss's server calls for other paths, or for itself."""

MAX_VALUES, MAX_DEPTH = 20_000, 60
"""Values of a configuration that are written out for a class that takes it, and how many may stand in one another."""


def class_project(keys: Keys, project: Project, data: Mapping[str, object]) -> tuple[Project, list[tuple[str, str]]]:
    """Returns the project that serves the model class, and the files that are written for it: the script that calls the class, for one.

    Args:
        keys: The keys of the configuration.
        project: What the other keys say.
        data: The configuration, which the class may take.
    """
    reading = keys.reading
    directory = _place(keys, "model_module_dir", "model")
    module = directory / _place(keys, "model_class_filename", "model.py")
    name = keys.text("model_class_name") or "Model"
    for key in ("model_module_dir", "model_class_filename", "model_class_name"):
        keys.take(key, f"{SCRIPT} imports {module.as_posix()}")
    if "trt_llm" in keys and not (reading.file.parent / module).is_file():
        return _of_engine(keys, project)
    if not name.isidentifier() or keyword.iskeyword(name):
        reading.fault(f"model_class_name is no name of a class: {name[:100]!r}", "model_class_name: Model")
    model = _class(reading, module, name) or UNKNOWN
    keys.leave(
        "trt_llm",
        "an engine of TensorRT-LLM is built by Baseten; an image that serves the model is named by docker_server",
    )
    place = Place(module, name, *_folders(keys))
    needs = take_needs(keys, tuple(_SERVERS[each] for each in sorted(model.imports & _SERVERS.keys())))
    project = replace(
        project, entry=Entry(Path(SCRIPT), Path()), dependencies=needs.dependencies, serving=_serving(keys, model)
    )
    reading.notices.append("requests go to POST /score on port 5001, and not to /v1/models/model:predict")
    if named := sorted(each for each in model.words if each.startswith("/app/"))[:3]:
        there = f"{APP_ROOT}/{project.name}"
        reading.notices.append(f"the code names {', '.join(named)[:300]}, and the sources are in {there}, not in /app")
    secrets = data.get("secrets")
    names = tuple(sorted(map(str, secrets))) if isinstance(secrets, Mapping) else ()
    config = _configuration(keys, project, data, names) if model.is_given("config") else {}
    return project, [*needs.files, (SCRIPT, adapter_text(place, model, config, names, reading.file.name))]


def _of_engine(keys: Keys, project: Project) -> tuple[Project, list[tuple[str, str]]]:
    """Returns the project of a Truss without a class, whose engine Baseten builds."""
    needs = take_needs(keys, ())
    if (runtime := keys.mapping("runtime")) is not None:
        runtime.leave("predict_concurrency", "server: {threads: 4}")
        take_runtime(runtime)
    keys.leave_all(dict.fromkeys(("data_dir", "bundled_packages_dir"), "there is no model class that reads it"))
    return engine_project(keys, replace(project, dependencies=needs.dependencies)), list(needs.files)


def _configuration(keys: Keys, project: Project, data: Mapping[str, object], secrets: tuple[str, ...]) -> object:
    """Returns the configuration as the class gets it, without values of secrets."""
    keys.value("model_metadata")
    keys.take("model_metadata", f"{SCRIPT}: CONFIG, which the class takes")
    ours = {"secrets": dict.fromkeys(secrets), "environment_variables": dict(project.env)}
    whole = {key: value for key, value in data.items() if key not in _BUILDING and key not in ours}
    left_out = [key for key in data if key in _BUILDING]
    config = _plain(whole, keys.reading, [MAX_VALUES], left_out)
    if left_out:
        keys.reading.notices.append(
            f"CONFIG in {SCRIPT} is without what serves building and what may be a secret: {', '.join(map(str, left_out[:50]))}"
        )
    return {**config, **ours} if isinstance(config, dict) else config


def _plain(value: object, reading: Reading, left: list[int], out: list[str], above: str = "", depth: int = 0) -> object:
    """Returns a configuration as it can be written out, of plain values and without secrets, whose keys are added to `out`.

    It is counted down, because aliases of YAML can make it endless.
    """
    left[0] -= 1
    if left[0] < 0 or depth > MAX_DEPTH:
        raise UserError(
            f"has more than {MAX_VALUES} values, or more than {MAX_DEPTH} in one another",
            where=str(reading.file),
            hint="put data into a file below data/",
        )
    if isinstance(value, Mapping):
        secret = [
            key
            for key, each in value.items()
            if (tell_name(str(key)) != str(key) and is_secret_name(str(key)))
            or holds_secret(str(key))
            or is_secret(str(key), each)
        ]
        out += [tell_name(f"{above}{key}") for key in secret]
        return {
            str(key): _plain(each, reading, left, out, f"{above}{key}.", depth + 1)
            for key, each in value.items()
            if key not in secret
        }
    if isinstance(value, list | tuple | set):
        items = [each for each in value if not is_secret("", each)]
        out += [f"{above.removesuffix('.')}[...]"] * (len(items) < len(value))
        return [_plain(each, reading, left, out, above, depth + 1) for each in items]
    finite = isinstance(value, bool | int | str) or value is None or (isinstance(value, float) and math.isfinite(value))
    return value if finite else str(value)


def _class(reading: Reading, module: Path, name: str) -> ModelClass | None:
    """Returns what the module says of the class; None where that is not known, which is said."""
    path = reading.file.parent / module
    if not path.is_file():
        reading.missing.append(
            f"{module.as_posix()} is not there, with the class {name}; run init again then, because {SCRIPT} follows from it"
        )
        return None
    try:
        found = read_class(reading.beside(module), name)
    except (RecursionError, MemoryError):
        reading.fault(f"{module.as_posix()} has more in one another than Python reads", "correct it first")
        return None
    except (SyntaxError, ValueError) as fault:
        reading.fault(f"{module.as_posix()} is no Python: {fault}", "correct it first")
        return None
    if found is None:
        reading.fault(f"{module.as_posix()} defines no class {name}", "model_class_name: NAME")
        return None
    _check(reading, module, found)
    return found


def _place(keys: Keys, key: str, usual: str) -> Path:
    """Returns the path that a key names; the usual one where it names none, or none in the folder, which is a fault."""
    path = inside(keys, keys.text(key) or usual)
    if path is None:
        keys.done(key)
    return path or Path(usual)


def _check(reading: Reading, module: Path, model: ModelClass) -> None:
    """Says what of the class a script can't call."""
    if model.method("predict") is None and not model.has_bases:
        what = "websockets alone" if model.method("websocket") else "no predict"
        hint = "an entry script answers requests: write predict, or start a server of your own by command:"
        reading.fault(f"the class in {module.as_posix()} has {what}", hint)
    for name in STEPS:
        if (method := model.method(name)) is not None and method.takes_request:
            hint = "let it take the inputs alone; an entry script of your own gets the request with @rawhttp"
            reading.fault(f"{name} in {module.as_posix()} takes the request of Truss's server", hint)
    others = [name for name in _MORE if model.method(name) is not None]
    if others:
        reading.notices.append(f"not called by {SCRIPT}, which answers predict: {', '.join(others)}")
    strange = [each for each in model.made_with if each not in OFFERED]
    if "trt_llm" in strange:
        reading.fault(
            f"the class in {module.as_posix()} takes trt_llm",
            "only Baseten has that engine; load the model in the class itself",
        )
    elif strange:
        reading.notices.append(
            f"the class takes {', '.join(strange)}, which {SCRIPT} has to give it, unless it has a default"
        )


def _folders(keys: Keys) -> tuple[Path, Path | None]:
    """Returns the folders of the data and of packages that go along."""
    folder = keys.reading.file.parent
    data = inside(keys, keys.text("data_dir") or "data") or Path("data")
    packages = inside(keys, keys.text("bundled_packages_dir") or "packages") or Path("packages")
    keys.take("data_dir", f"{SCRIPT}: data_dir, where the class takes it")
    keys.take("bundled_packages_dir", f"{SCRIPT}: sys.path")
    for number, item in enumerate(keys.mappings("external_data")):
        path = item.text("local_data_path")
        target = data / (inside(item, path) or Path("FILE")) if path else data / "FILE"
        item.take("local_data_path", f"{target.as_posix()}, once it is there")
        item.leave("url", "nothing is downloaded from there")
        item.leave_all(dict.fromkeys(("backend", "name"), f"as external_data[{number}].url"))
        if not (folder / target).exists():
            keys.reading.missing.append(
                f"{target.as_posix()} is not there: external_data[{number}] names where it is to be downloaded from"
            )
    return data, packages if (folder / packages).is_dir() else None


def take_needs(keys: Keys, added: tuple[str, ...]) -> Needs:
    """Returns the dependencies, with what Truss's own server would bring."""
    named, lines = keys.text("requirements_file"), keys.texts("requirements")
    file = inside(keys, named) if named else None
    needs = make_needs(keys.reading, file, lines if file is None else (), added)
    keys.take("requirements_file", f"dependencies: {needs.dependencies.requirements}")
    if file is not None:
        keys.leave("requirements", "Truss takes either these or requirements_file")
    keys.take("requirements", "dependencies")
    return needs


def _serving(keys: Keys, model: ModelClass) -> Serving:
    runtime = keys.mapping("runtime")
    if runtime is None:
        return Serving()
    count = runtime.number("predict_concurrency")
    awaits = any(method.is_async for name, method in model.methods if name in STEPS)
    threads = count if count is not None and 1 < count < 1000 and not awaits else None
    runtime.take(
        "predict_concurrency",
        f"server: threads: {threads}"
        if threads
        else "an asynchronous run answers several at once"
        if awaits
        else "one at a time",
    )
    take_runtime(runtime)
    return Serving(threads=threads)


def take_runtime(runtime: Keys) -> None:
    """Notes what is left of `runtime`."""
    transport = runtime.mapping("transport")
    if transport is not None:
        kind = transport.text("kind") or "http"
        if kind == "http":
            transport.take("kind", "HTTP")
        transport.leave("kind", "a program of your own speaks it: command:")
        transport.leave_all(dict.fromkeys(("ping_interval_seconds", "ping_timeout_seconds"), "as kind"))
    runtime.leave("is_websocket_endpoint", "a program of your own speaks it: command:")
    runtime.leave_all(_RUNTIME)
