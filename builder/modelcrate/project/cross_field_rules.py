"""The rules between keys of a project file, over a form whose keys are right by themselves."""

from __future__ import annotations

from collections.abc import Iterator

from modelcrate.project import values
from modelcrate.project.contracts import DEFAULT
from modelcrate.project.form import BaseForm, DependenciesForm, ModelForm, ProjectForm, model_value, variant_form
from modelcrate.project.request_schema import MAX_DESCRIPTION, description_text
from modelcrate_layers.frozen import dataclass
from modelcrate_server.described import SCHEMA_FILE


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule between keys that is broken, at the key where it shows."""

    path: tuple[str | int, ...]
    what: str
    hint: str = ""


def violations(form: ProjectForm, given: frozenset[str]) -> Iterator[Violation]:
    """Yields the rules between keys that are broken, over a form whose keys are right by themselves.

    Args:
        form: The validated form of the project file.
        given: The keys that the file has.
    """
    needs = form.dependencies
    debian = isinstance(form.base.origin, values.DebianBase)
    wanted = bool(debian or needs.requirements or needs.pylock or needs.conda or needs.project)
    served = "entry" in given or (wanted and len(form.models) == 1)  # one model may bring its own script
    yield from _command_violations(form, given)
    if "command" in given and not form.command:
        yield Violation(("command",), "'command' names no program", "expected for instance [uvicorn, app:app]")
    elif wanted and not served and not form.command:
        hint = "the script that defines init and run, for instance entry: score.py; one model alone may do without, and so does a command"
        yield Violation((), "'entry' is missing", hint)
    yield from _platform_violations(form, debian)
    yield from _server_violations(form, given, served)
    yield from _schema_violations(form, given)
    yield from _dependency_violations(needs)
    yield from _model_violations(form)
    yield from _car_violations(form)
    yield from _variant_violations(form, given)


def _variant_violations(form: ProjectForm, given: frozenset[str]) -> Iterator[Violation]:
    if not form.variants:
        return
    alone = form.model_copy(update={"variants": []})
    known = {(each.path, each.what) for each in violations(alone, given)}
    for place, variant in enumerate(form.variants):
        path = ("variants", place)
        if variant.name in [each.name for each in form.variants[:place]]:
            yield Violation((*path, "name"), f"a second variant called {variant.name}", "give it another name")
        for number, platform in enumerate(variant.platforms):
            if platform not in form.platforms:
                hint = f"an engine for it would find this variant alone; add it to the project's: {platform}"
                yield Violation((*path, "platforms", number), f"{platform} is no platform of the project", hint)
        made, own = variant_form(form, variant), variant.model_fields_set
        if dict(made) == dict(alone):
            hint = "say what differs, such as base, dependencies or env; or leave it out"
            yield Violation(path, f"the variant {variant.name} differs in nothing from the project", hint)
        for each in violations(made, given | own):
            if (each.path, each.what) not in known:
                inner = each.path if each.path[:1] and each.path[0] in own else ()
                yield Violation((*path, *inner), f"the variant {variant.name}: {each.what}", each.hint)


def _car_violations(form: ProjectForm) -> Iterator[Violation]:
    if not form.modelcar:
        return
    if not form.models:
        yield Violation(("modelcar",), "a modelcar without models", "name a file or folder: models: [model/]")
    wanted = form.codec.models or form.codec.default
    if wanted in ("zstd", "zstd:chunked", "small"):
        hint = "say codec: {models: none}, or gzip"
        yield Violation(("codec",), f"a modelcar with models in {wanted}: KServe reads no zstd", hint)
    if any(each.registered is not None for each in form.models):
        hint = "leave it out: -o modelcar:REF makes layers of its own; or name the model's files"
        yield Violation(("modelcar",), "a registered model has layers already, and none is for a modelcar", hint)


def _command_violations(form: ProjectForm, given: frozenset[str]) -> Iterator[Violation]:
    if not form.command:
        for key in ("source", "ports", "workdir", "health"):
            if key in given:
                yield Violation((key,), f"'{key}' without a command", "name the program: command: [PROGRAM, ARGUMENT]")
        if form.server.origin == "none":
            yield Violation(("server",), "no server, and no command", "name the program: command: [PROGRAM, ARGUMENT]")
        return
    if "entry" in given:
        yield Violation(("command",), "a command and an entry script", "keep one: modelcrate's server runs the script")
    if form.health and not form.ports:
        yield Violation(("health",), "'health' without a port", "name it: ports: [8000]")
    for place, port in enumerate(form.ports):
        if port in form.ports[:place]:
            yield Violation(("ports", place), f"the port {port} stands twice")


def _platform_violations(form: ProjectForm, debian: bool) -> Iterator[Violation]:
    for place, platform in enumerate(form.platforms):
        if debian and platform not in values.DEBIAN_PLATFORMS:
            hint = f"expected {' or '.join(map(str, values.DEBIAN_PLATFORMS))}; or choose another base"
            yield Violation(("platforms", place), f"a Debian base can't be made for {platform}", hint)
        if platform in form.platforms[:place]:
            yield Violation(("platforms", place), f"{platform} stands twice")
    for key in ("mirror", "packages", "shell", "valid_until"):
        if getattr(form.base, key) != BaseForm.model_fields[key].default and not debian:
            name = key.replace("_", "-")
            yield Violation(("base", name), f"'{name}' is for a Debian base only", f"this base is {form.base.origin}")
    if form.bytecode and not debian:
        hint = f"only such a base has a Python that is pinned to its last byte; this base is {form.base.origin}"
        yield Violation(("bytecode",), "'bytecode' is for a Debian base only", hint)


def _server_violations(form: ProjectForm, given: frozenset[str], served: bool) -> Iterator[Violation]:
    for place, name in enumerate(form.contracts):
        if name in form.contracts[:place]:
            yield Violation(("contracts", place), f"the contract {name} stands twice")
    if "contracts" in given and not served:
        hint = "nothing would serve them; add entry: score.py"
        yield Violation(("contracts",), "contracts without an entry script", hint)
    set_up = form.server.model_fields_set - {"origin"}
    if (form.server.origin == "azureml" or set_up) and not served:
        yield Violation(("server",), "a server, and no entry script for it", "name one: entry: score.py")
    if form.server.origin == "azureml":
        for name in sorted(set_up - {"workers", "timeout", "preload"}):
            key = type(form.server).model_fields[name].alias or name
            yield Violation(("server", key), f"Microsoft's server has no {key!r}", "leave it out, or take modelcrate's")
    if form.server.batch is not None and "entry" not in given:
        hint = "write one whose run takes a list; the scripts that modelcrate brings take one request at a time"
        yield Violation(("server", "batch"), "a batch, and no entry script of your own", hint)
    if form.server.batch is not None and (form.server.threads or 1) > 1:
        yield Violation(("server", "batch"), "a batch and threads at once", "keep one: a batch is one call of run")
    if form.server.origin == "azureml" and form.contracts != [DEFAULT]:
        hint = "leave out contracts, or take server: modelcrate"
        yield Violation(("server",), f"Microsoft's server keeps the contract {DEFAULT} alone", hint)


def _schema_violations(form: ProjectForm, given: frozenset[str]) -> Iterator[Violation]:
    schema = form.request_schema
    if schema is None:
        return
    if "entry" not in given:
        hint = "name one: entry: score.py; the scripts that modelcrate brings describe themselves"
        yield Violation(("schema",), "a schema, and no entry script of your own", hint)
    if form.server.origin == "azureml":
        yield Violation(
            ("schema",), "Microsoft's server holds no schema but the decorators'", "take modelcrate's server"
        )
    if (schema.columns is None) == (schema.takes is None):
        both = "columns and an input at once" if schema.columns is not None else "a schema without an input"
        yield Violation(("schema",), both, "one of columns: {NAME: TYPE} and input: {type: object, properties: ...}")
    size = len(description_text(schema.columns or schema.takes or {}, schema.gives or {}).encode())
    if size > MAX_DESCRIPTION:
        hint = f"put it beside the script, in {SCHEMA_FILE}, where there is no such limit"
        yield Violation(("schema",), f"a schema of {size} bytes as JSON; the most is {MAX_DESCRIPTION}", hint)


def _dependency_violations(needs: DependenciesForm) -> Iterator[Violation]:
    if needs.requirements and needs.pylock:
        hint = "keep one: a pylock is a lock, and requirements are locked by modelcrate"
        yield Violation(("dependencies", "pylock"), "requirements and a pylock at once", hint)
    if isinstance(needs.requirements, list) and not needs.pylock:
        for key in ("extras", "groups"):
            if getattr(needs, key):
                hint = "name the file that has them, for instance requirements: pyproject.toml"
                yield Violation(("dependencies", key), f"{key} without a file", hint)


def _model_violations(form: ProjectForm) -> Iterator[Violation]:
    seen: set[tuple[str, int | None]] = set()
    for place, model in enumerate(form.models):
        if (fault := _source_fault(model, form.workspace)) is not None:
            yield Violation(("models", place), *fault)
            continue
        meant = model_value(model)
        if not meant.name:
            hint = "give it one: name: my-model"
            if "*" in str(model.path):
                hint = (
                    "a model is one file or one folder, and no pattern; .modelcrateignore leaves files of a folder out"
                )
            yield Violation(("models", place), f"no name can be made of {str(model.path)!r}", hint)
        elif (meant.name, meant.version) in seen:
            hint = "give one of them another name or version"
            yield Violation(("models", place), f"a second model called {meant.name}, version {meant.version}", hint)
        seen.add((meant.name, meant.version))


def _source_fault(model: ModelForm, workspace: str | None) -> tuple[str, str] | None:
    """Returns what is wrong with where a model comes from: a path, a workspace or a hub, and one of them alone."""
    if model.hf is not None:
        one = model.path is None and model.registered is None
        return None if one else ("a model of a hub with a path, too", "leave one of them out: hf, path or registered")
    if model.revision is not None or model.files:
        return "'revision' and 'files' are for a model of a hub", "name it: hf: ORG/NAME"
    if model.registered is None:
        return None if model.path is not None else ("'path' is missing in a model", "")
    if model.path is not None or model.name is not None or model.version is not None:
        return "a registered model with a path, name or version", "all is said by registered: NAME:VERSION"
    if workspace is None:
        return "a registered model, and no workspace", "say where it is: workspace: FOLDER, or HOST/PREFIX"
    return None
