"""Code that configurations and graphs name: Keras in YAML, YAML's tags, chat templates, TensorFlow, skops, XML, path files. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

from modelcrate.modelfiles.beginnings import is_template
from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.pickle import names
from modelcrate.modelfiles.pickle.findings import NamedObject, Use
from modelcrate.modelfiles.pickle.policy import FRAMEWORKS, UNSAFE_PACKAGES, rate
from modelcrate_layers.content import CHUNK, parse_json
from modelcrate_layers.errors import IntegrityError

MAX_XML_HEAD = 64 << 10
"""Bytes of an XML file in which its entities are declared."""

MAX_PATHS = 1 << 20
"""Bytes of a path configuration file that are looked at."""

TEMPLATE_ATTACKS = re.compile(
    r"__\w+__|\\x5f|\\u005f|\\137|\|\s*attr\b|\b(mro|subclasses|func_globals|gi_frame|f_globals|lipsum|cycler|joiner|getattr|popen|eval|exec)\b"
    r"|['\"]__|__['\"]|['\"]_['\"]\s*[,~+]\s*['\"]_|%c[^}]*\|\s*format\b"
)
"""What leads from a template to Python's modules, in one piece or put together. No template of a published model has it."""

_TAG_HANDLE = re.compile(rb"(?m)^%TAG[ \t]+(![\w-]*!?)[ \t]+(\S+)")
_TAG = re.compile(rb"!<([^<>\s]{0,1000}+)>|(!(?:[\w-]*+!)?)([^\s!,\[\]{}]*+)")
_MADE_BY_TAG = re.compile(r"tag:yaml\.org,2002:python/object(?P<called>/apply|/new)?:(?P<module>[\w.]+)\.(?P<name>\w+)")
"""The tags by which PyYAML makes an object, or calls something for it."""

_ACTING_OPERATORS = (b"PyFunc", b"PyFuncStateless", b"EagerPyFunc", b"WriteFile")
_READING_OPERATORS = (b"ReadFile", b"MatchingFiles", b"WholeFileReader", b"WholeFileReaderV2", b"PrintV2")
"""TensorFlow's operators that call Python or write files, and those that read files or may write to one."""


def in_template(text: str, name: str) -> Iterator[tuple[Verdict, str]]:
    """Yields the verdict on a chat template that leads out of Jinja's own values, with the reason."""
    if found := TEMPLATE_ATTACKS.search(text):
        yield Verdict.UNSAFE, f"{name} has {found[0]!r}, which leads to Python's modules"


def in_chat_templates(data: bytes, name: str) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on the chat templates beside a model: a file of its own, or in a tokenizer's or processor's configuration."""
    if is_template(name):
        yield from in_template(data.decode("utf-8", "replace"), name)
        return
    config = parsed_json(data)
    given = config.get("chat_template") if isinstance(config, dict) else None
    for each in given if isinstance(given, list) else [given]:
        text = each.get("template") if isinstance(each, dict) else each
        if isinstance(text, str):
            yield from in_template(text, "the chat template")


def in_yaml(data: bytes) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on what PyYAML's tags make, and on a model of Keras', as `to_yaml` wrote it and `unsafe_load` read it."""
    if all(re.search(rb"(?m)^%b:\s" % key, data) for key in (b"class_name", b"config")):
        if re.search(rb"class_name:[ \t]*[\"']?Lambda\b", data):
            yield Verdict.UNSAFE, "a Lambda layer in YAML, whose code is in the file"
        else:
            yield Verdict.UNKNOWN, "a model of Keras' in YAML, which is not read"
    handles = {b"!!": b"tag:yaml.org,2002:"} | dict(_TAG_HANDLE.findall(data))
    for whole, handle, rest in set(_TAG.findall(data)):
        tag = unquote_to_bytes(whole or handles.get(handle, handle) + rest).decode("utf-8", "replace")
        if made := _MADE_BY_TAG.fullmatch(tag):
            named = NamedObject(made["module"], made["name"], Use.CALLED if made["called"] else Use.MADE)
            if (verdict := _rated(named)) is not Verdict.SAFE:
                yield verdict, f"{named}, by a tag"


def _rated(named: NamedObject) -> Verdict:
    """Returns the verdict on a name in a configuration: what a package of the project has is unknown, even if it is called."""
    verdict = rate(named)
    root = named.module.partition(".")[0]
    known = root in UNSAFE_PACKAGES or root in FRAMEWORKS or names.is_standard_library(root)
    return verdict if known or verdict is Verdict.SAFE else Verdict.UNKNOWN


def in_paths(file: BinaryIO) -> Iterator[tuple[Verdict, str]]:
    """Yields a verdict on a path configuration file whose lines Python runs, if it lies in a folder of packages."""
    file.seek(0)
    if found := re.search(rb"(?m)^import[ \t].{0,80}", file.read(MAX_PATHS)):
        yield Verdict.UNKNOWN, f"a line that Python runs at its start: {found[0].decode('utf-8', 'replace')!r}"


def parsed_json(data: bytes) -> object:
    """Returns the value of a JSON text; None for what is none."""
    try:
        return parse_json(data, limit=len(data))
    except IntegrityError:
        return None


def in_graph(file: BinaryIO) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on the operators of a TensorFlow graph (NodeDef.op, field 2 of a node) that act outside of it."""
    wanted = {b"\x12" + bytes([len(each)]) + each: each for each in (*_ACTING_OPERATORS, *_READING_OPERATORS)}
    found: set[bytes] = set()
    behind = b""
    file.seek(0)
    while chunk := file.read(CHUNK):
        found |= {name for coded, name in wanted.items() if name not in found and coded in behind + chunk}
        behind = chunk[-64:]
    for name in sorted(found):
        acts = name in _ACTING_OPERATORS
        what = "calls Python or writes files" if acts else "reads files, or may write to one"
        yield Verdict.UNSAFE if acts else Verdict.UNKNOWN, f"the operator {name.decode()} of TensorFlow, which {what}"


def in_skops(data: bytes) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on what a skops schema names."""
    root = parsed_json(data)
    if root is None:
        yield Verdict.UNKNOWN, "schema.json can't be read"
    for value in objects_in(root):
        if isinstance(value.get("__module__"), str) and isinstance(value.get("__class__"), str):
            yield from _skops_object(value["__module__"], value["__class__"], value.get("__loader__"))


def _skops_object(module: str, name: str, loader: object) -> Iterator[tuple[Verdict, str]]:
    root = module.partition(".")[0]
    acts = root in UNSAFE_PACKAGES or (names.is_standard_library(root) and root not in ("builtins", "functools"))
    if loader in ("MethodNode", "OperatorFuncNode"):
        yield Verdict.UNKNOWN, f"{module}.{name}, which is called or bound while skops loads it"
    elif acts and rate(NamedObject(module, name, Use.MADE)) is not Verdict.SAFE:
        yield Verdict.UNSAFE, f"{module}.{name}"


def in_xml(file: BinaryIO) -> Iterator[tuple[Verdict, str]]:
    """Yields a verdict on an XML file that declares entities: its readers may fetch them from files and addresses."""
    file.seek(0)
    if b"<!ENTITY" in file.read(MAX_XML_HEAD).replace(b"\0", b""):
        yield Verdict.UNKNOWN, "entities, which a reader may fetch from files and addresses"


def objects_in(root: object) -> Iterator[dict[str, Any]]:
    """Yields every object of a JSON value, at any depth."""
    todo = [root]
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo += value
        elif isinstance(value, dict):
            todo += value.values()
            yield value
