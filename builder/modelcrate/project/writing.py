"""A project as the text of its file, with short help in comments: what `modelcrate init` writes.

Reading the text again gives an equal project. Nothing here needs a YAML library: we write a small, plain part of the language, and
quote every text that a reader could take for another type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import PurePath

from modelcrate.project.contracts import DEFAULT
from modelcrate.project.schema import ADDRESS
from modelcrate.project.serving import Serving
from modelcrate.project.values import (
    DEFAULT_TOLERANCE,
    AnyModel,
    Base,
    Codecs,
    Command,
    DebianBase,
    Dependencies,
    Entry,
    Gates,
    GoldenTest,
    HubModel,
    Project,
    RegisteredModel,
    Variant,
    is_pylock,
)
from modelcrate_layers.patterns import compile_later

_PLAIN = compile_later(r"[A-Za-z0-9_/.][A-Za-z0-9_/.+@=~-]*")
_NUMBER = compile_later(r"[0-9.+-][0-9a-fA-FxoeE._+-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", ".inf", ".nan"})
_UNSEEN = compile_later("[\x7f-\x9f\xad\u2028\u2029\ufeff\ufffe\uffff]")
_NOTES_AT = 46

_HEAD = f"""\
# yaml-language-server: $schema={ADDRESS}
# What goes into the image; paths start at the folder of this file. Every key is explained in the reference of modelcrate.
"""


def project_text(project: Project) -> str:
    """Returns the text of a project file that means this project."""
    return _HEAD + "".join(f"{line}\n" for line in _lines(project))


def _lines(project: Project) -> Iterator[str]:
    platforms = ", ".join(scalar(str(platform)) for platform in project.platforms)
    yield f"name: {scalar(project.name)}"
    if project.python:
        yield f"python: {scalar(project.python)}"
    yield _noted(f"platforms: [{platforms}]", "linux/amd64, linux/arm64, or both")
    yield from _base(project.base)
    yield from _dependencies(project.dependencies)
    yield from _models(project.models)
    if project.entry:
        yield _noted(f"entry: {_entry(project.entry)}", "defines init() and run(data)")
    if project.command:
        yield from _command(project.command)
    yield from _server(project)
    if project.serving.description:
        yield f"schema: {_flow(project.serving.description)}"
    if project.contracts != (DEFAULT,):
        yield _noted(f"contracts: [{', '.join(project.contracts)}]", "whose protocols the container speaks")
    yield from _table("env", project.env)
    yield from _table("labels", project.labels)
    yield _noted(f"user: {scalar(project.user)}", "uid:gid; not root, and group 0 for OpenShift")
    yield from _codecs(project.codecs)
    if project.tests:
        yield "tests:"
        for test in project.tests:
            yield from _test(test)
    yield from _image(project)
    if project.workspace:
        yield _noted(f"workspace: {scalar(project.workspace)}", "where registered models are")
    yield from _gates(project.gates)
    if project.variants:
        yield _noted("variants:", "other images of the project, in one index with it")
    for each in project.variants:
        yield f"  - name: {scalar(each.name)}"
        yield from (f"    {line}" for text in _differing(each, project) for line in text.split("\n"))


def _differing(variant: Variant, project: Project) -> Iterator[str]:
    """Yields what a variant has otherwise than its project."""
    if variant.platforms != project.platforms:
        yield f"platforms: [{', '.join(scalar(str(each)) for each in variant.platforms)}]"
    if variant.python and variant.python != project.python:
        yield f"python: {scalar(variant.python)}"
    if variant.base != project.base:
        yield from _base(variant.base)
    if variant.dependencies != project.dependencies:
        yield from _dependencies(variant.dependencies)
    yield from _table("env", _more(variant.env, project.env))
    yield from _table("labels", _more(variant.labels, project.labels))
    if (variant.server, variant.serving) != (project.server, project.serving):
        yield from _server(variant.of(project))


def _more(pairs: Mapping[str, str], below: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in pairs.items() if below.get(name) != value}


def _image(project: Project) -> Iterator[str]:
    yield from _limits(project)
    if project.bytecode:
        yield _noted("bytecode: true", "compiled by the image's own Python, for faster starts")
    if project.modelcar:
        yield _noted("modelcar: true", "the models are below /models, too, for KServe")
    if project.created:
        yield _noted(f"created: {scalar(_moment(project.created))}", "the image's own time; never touches a layer")


def _limits(project: Project) -> Iterator[str]:
    if project.max_size is not None:
        yield _noted(f"max-size: {project.max_size}", "bytes; a larger image is refused")
    if project.max_layer_growth is not None:
        yield _noted(
            f"max-layer-growth: {project.max_layer_growth}", "bytes; a layer that has grown by more is refused"
        )


def _base(base: Base) -> Iterator[str]:
    settings = list(_of_debian(base)) if isinstance(base, DebianBase) else []
    if not (settings or base.interpreter):
        yield _noted(f"base: {scalar(base)}", "debian, an image reference, oci:DIR, docker-archive:FILE, ...")
        return
    yield f"base:\n  from: {scalar(base)}"
    yield from settings
    if base.interpreter:
        yield f"  interpreter: {scalar(base.interpreter)}"


def _of_debian(base: DebianBase) -> Iterator[str]:
    if base.mirror:
        yield f"  mirror: {scalar(base.mirror)}"
    yield from _listed("  packages", base.packages)
    if base.shell:
        yield "  shell: true"
    if base.valid_until != "required":
        yield f"  valid-until: {base.valid_until}"


def _dependencies(needs: Dependencies) -> Iterator[str]:
    asked = needs.requirements
    only = asked or needs.pylock
    if needs == Dependencies():
        return
    if needs == Dependencies(requirements=asked) and isinstance(asked, tuple):
        yield from _listed("dependencies", asked)
    elif needs == (Dependencies(pylock=needs.pylock) if is_pylock(str(only)) else Dependencies(requirements=asked)):
        yield _noted(f"dependencies: {scalar(PurePath(str(only)))}", "a requirements file, a pylock.toml, or a list")
    else:
        yield "dependencies:"
        if isinstance(asked, tuple):
            yield from _listed("  requirements", asked)
        else:
            yield f"  requirements: {scalar(asked)}"
        for key, value in (("pylock", needs.pylock), ("wheelhouse", needs.wheelhouse), ("index-url", needs.index_url)):
            if value is not None:
                yield f"  {key}: {scalar(value)}"
        yield from _listed("  extra-index-url", needs.extra_index_urls)
        yield from _listed("  extras", needs.extras)
        yield from _listed("  groups", needs.groups)
        told = {
            "project": "true" if needs.project else "",
            "torch": scalar(needs.torch) if needs.torch else "",
            "on-conflict": scalar(needs.on_conflict) if needs.on_conflict != "refuse" else "",
            "layers": str(needs.layers or ""),
        }
        yield from (f"  {key}: {text}" for key, text in told.items() if text)
        if needs.conda is not None:
            yield "  conda:"
            yield from _listed("    packages", needs.conda.packages)
            yield from _listed("    channels", needs.conda.channels)


def _models(models: tuple[AnyModel, ...]) -> Iterator[str]:
    if models:
        yield "models:"
    for model in models:
        if isinstance(model, HubModel):
            yield _noted(f"  - hf: {scalar(model.repo)}", "of a hub, or of its local cache")
            if model.revision:
                yield f"    revision: {scalar(model.revision)}"
            yield from _listed("    files", model.files)
            yield f"    name: {scalar(model.name)}"
            yield f"    version: {model.version}"
            continue
        if isinstance(model, RegisteredModel):
            yield _noted(f"  - registered: {scalar(str(model))}", "out of the workspace")
            continue
        yield _noted(f"  - path: {scalar(model.path)}", "a file, or a folder whose tree is kept")
        yield f"    name: {scalar(model.name)}"
        yield f"    version: {model.version}"


def _command(command: Command) -> Iterator[str]:
    yield _noted(f"command: [{', '.join(map(_argument, command.argv))}]", "what the container starts")
    if command.source is not None:
        yield f"source: {scalar(command.source)}"
    if command.ports:
        yield f"ports: [{', '.join(map(str, command.ports))}]"
    if command.workdir is not None:
        yield f"workdir: {scalar(command.workdir)}"
    if command.health:
        yield f"health: {scalar(command.health)}"


def _server(project: Project) -> Iterator[str]:
    serving = project.serving
    if serving == Serving(description=serving.description):
        if project.server != "modelcrate":
            yield _noted(f"server: {project.server}", "Microsoft's own, instead of modelcrate's")
        return
    batch = serving.batch and f"{{max: {serving.batch.most}, wait: {serving.batch.wait}ms}}"
    keys = {
        "from": project.server if project.server != "modelcrate" else None,
        "workers": serving.workers,
        "threads": serving.threads,
        "timeout": None if serving.timeout is None else f"{serving.timeout}ms",
        "max-requests": serving.max_requests,
        "preload": "true" if serving.preload else None,
        "batch": batch,
        "validate": "true" if serving.validate else None,
        "metrics": "true" if serving.metrics else None,
        "log-format": serving.log_format if serving.log_format != "text" else None,
    }
    yield "server:"
    yield from (f"  {key}: {value}" for key, value in keys.items() if value is not None)


def _argument(text: str) -> str:
    """An argument in a list on one line: quoted unless it is a plain word."""
    return text if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", text) and text.lower() not in _WORDS else json.dumps(text)


def _test(test: GoldenTest) -> Iterator[str]:
    rest = {
        "expect": None if test.answer is None else scalar(test.answer),
        "tolerance": None if test.tolerance == DEFAULT_TOLERANCE else repr(test.tolerance),
        "path": scalar(test.path) if test.path else None,
        "status": None if test.status is None else str(test.status),
    }
    yield f"  - request: {scalar(test.request)}"
    yield from (f"    {key}: {value}" for key, value in rest.items() if value is not None)


def _entry(entry: Entry) -> str:
    if entry.source is None:
        return scalar(entry.script)
    return f"{{source: {scalar(entry.source)}, script: {scalar(entry.script)}}}"


def _codecs(codecs: Codecs) -> Iterator[str]:
    named = {field.name: getattr(codecs, field.name) for field in fields(codecs)}
    yield from _table(
        "codec", {role: codec for role, codec in named.items() if codec and (role, codec) != ("default", "auto")}
    )


def _gates(gates: Gates) -> Iterator[str]:
    if gates == Gates():
        return
    yield "gates:"
    yield f"  unsafe-pickle: {gates.unsafe_pickle}"
    yield f"  secrets: {gates.secrets}"
    yield f"  versions: {gates.versions}"
    yield f"  imports: {gates.imports}"
    yield from _listed("  allow", gates.allow)
    yield from _listed("  model-keys", tuple(map(str, gates.model_keys)))


def _table(key: str, pairs: Mapping[str, str]) -> Iterator[str]:
    if pairs:
        yield f"{key}:"
    for name, value in pairs.items():
        yield f"  {scalar(name)}: {scalar(value)}"


def _listed(key: str, items: tuple[str, ...]) -> Iterator[str]:
    indent = " " * (len(key) - len(key.lstrip()) + 2)
    if items:
        yield f"{key}:"
    for item in items:
        yield f"{indent}- {scalar(item)}"


def _noted(line: str, note: str) -> str:
    return f"{line:<{_NOTES_AT}} # {note}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def scalar(value: str | PurePath | Base) -> str:
    """Returns a text as a YAML scalar: plain where it can't be misread, else in double quotes with JSON's escapes, which are YAML's."""
    text = value.as_posix() if isinstance(value, PurePath) else str(value)
    if _PLAIN.fullmatch(text) and not _NUMBER.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return _flow(json.dumps(text, ensure_ascii=False))


def _flow(document: str) -> str:
    """Returns JSON as YAML, which it is, but for characters that no reader of YAML takes as they are."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
