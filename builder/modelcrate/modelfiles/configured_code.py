"""Code that configurations and graphs name: YAML's tags, Hydra, chat templates, Transformers, TensorFlow, skops, XML, path files. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from modelcrate.modelfiles.beginnings import MAX_CONFIG
from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.named_code import in_names, in_target, is_known, objects_in, texts_in
from modelcrate.modelfiles.pickle import names
from modelcrate.modelfiles.pickle.findings import NamedObject, Use
from modelcrate.modelfiles.pickle.policy import FRAMEWORKS, UNSAFE_PACKAGES, rate
from modelcrate.project.foreign_yaml import documents
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.patterns import compile_later

MAX_XML_HEAD = 64 << 10
"""Bytes of an XML file in which its entities are declared."""

MAX_PATHS = 1 << 20
"""Bytes of a path configuration file that are looked at."""

TEMPLATE_ATTACKS = compile_later(
    r"__\w+__|\|\s*attr\b|\b(mro|subclasses|func_globals|gi_frame|f_globals|lipsum|cycler|joiner|getattr|popen|eval|exec)\b"
    r"|['\"]__|__['\"]|['\"]_['\"]\s*[,~+]\s*['\"]_|['\"]_+['\"]\s*\*|%c[^}]*\|\s*format\b"
)
"""What leads from a template to Python's modules, in one piece or put together. No template of a published model has it."""

_TEMPLATE_ESCAPE = compile_later(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U000[0-9a-fA-F]{5}|N\{[^{}]{1,80}\}|[0-3]?[0-7]{1,2}|\n)"
)
_TEMPLATE_JOINT = compile_later(r"(?<!\\)(['\"])\s*[~+]?\s*\1")
"""Escapes in the texts of a template, which are Python's, and what stands between two texts that become one."""

_TAG_HANDLE = compile_later(rb"(?m)^%TAG[ \t]+(![\w-]*!?)[ \t]+(\S+)")
_TAG = compile_later(rb"!<([^<>\s]{0,1000}+)>|(!(?:[\w-]*+!)?)([^\s!,\[\]{}]*+)")
_MADE_BY_TAG = compile_later(
    r"tag:yaml\.org,2002:python/(?P<kind>object|object/apply|object/new|name|module):(?:(?P<module>[\w.]+)\.)?(?P<name>\w+)"
)
"""The tags by which PyYAML makes an object, calls something for it, or names it. What has no module is Python's own."""

_HYPER = compile_later(r"!(?:new|name|apply|applyref):([\w.]+)")
"""The tags by which HyperPyYAML calls something, at once or later."""

_LAYERS = compile_later(
    rb"<layer\b[^<>]{0,1000}?\bversion=[\"'](?!opset\d|\w+_opset|util|experimental)([^\"'<>]{1,80})[\"']"
)
"""The sets of operators that OpenVINO's own are not from."""

_PLAIN_TEXT = compile_later(r"'[\w.+-]*'")
_NO_EXPRESSION = compile_later(
    r"['\"\\]|__|(?<![0-9])\.|\.(?![0-9])|\b(eval|exec|open|input|compile|getattr|globals|breakpoint|lambda)\b"
)
"""What an expression of sizes has, `Symbol('s0', integer=True)`, and what none has: other texts, attributes, functions of Python's own."""

_TARGET = compile_later(rb"_target_[\"']?[ \t]*:[ \t]*[\"']?([\w.]+)")
_KERNELS = ("_attn_implementation_internal", "_attn_implementation", "attn_implementation")
"""Where a configuration of Transformers names kernels; by the first of them, older versions fetched and ran them unasked (CVE-2026-4372)."""

_ACTING = [
    "PyFunc",
    "PyFuncStateless",
    "EagerPyFunc",
    "WriteFile",
    "SaveDataset",
    "SaveDatasetV2",
    "DistributedSave",
    "DatasetToTFRecord",
    "ExperimentalDatasetToTFRecord",
    "CreateSummaryFileWriter",
    "CreateSummaryDbWriter",
    "DebugIdentity",
    "DebugIdentityV2",
    "DebugIdentityV3",
    "RpcClient",
    "RpcServer",
]
_READING = [
    "ReadFile",
    "MatchingFiles",
    "WholeFileReader",
    "WholeFileReaderV2",
    "PrintV2",
    "TFRecordDataset",
    "TFRecordDatasetV2",
    "TextLineDataset",
    "FixedLengthRecordDataset",
    "FixedLengthRecordDatasetV2",
    "CSVDataset",
    "CSVDatasetV2",
    "ExperimentalCSVDataset",
    "SqlDataset",
    "ExperimentalSqlDataset",
    "LoadDataset",
    "LMDBReader",
    "LMDBDataset",
    "ExperimentalLMDBDataset",
    "TextLineReader",
    "TextLineReaderV2",
    "TFRecordReader",
    "TFRecordReaderV2",
    "FixedLengthRecordReader",
    "FixedLengthRecordReaderV2",
    "LoadAndRemapMatrix",
    "ImmutableConst",
    "FlexSave",
    "FlexSaveV2",
    "FlexSaveSlices",
    "FlexRestore",
    "FlexRestoreV2",
    "FlexPrintV2",
    "FlexImmutableConst",
]
"""TensorFlow's operators that call Python, write files or send data, and those that read files or may write to one; in TFLite (`Flex`), what its list of
TensorFlow's operators has of these."""

_PADDLE = {
    **dict.fromkeys(("save", "save_combine"), (Verdict.UNSAFE, "writes a file")),
    **dict.fromkeys(("load", "load_combine", "read_file"), (Verdict.UNKNOWN, "reads a file")),
    **dict.fromkeys(("py_func", "py_layer"), (Verdict.UNKNOWN, "calls a function of the program that loads it")),
}
"""Operators of Paddle that act outside of a program, and what they do. Those that call Python take a number, and no name."""

_LAMBDA = ('"Lambda"', '"__lambda__"')
_HIDDEN, _KERAS = "\\u00", "_tf_keras_"
"""What the configuration of a lambda layer has, beside a graph; how letters are hidden there, and what stands in all that Keras writes."""

_IN_GRAPHS = tuple(each.encode() for each in (*_ACTING, *_READING, *_LAMBDA, _HIDDEN, _KERAS))


def in_template(text: str, name: str) -> Iterator[tuple[Verdict, str]]:
    """Yields the verdict on a chat template that leads out of Jinja's own values, with the reason. It is read as it is, and with its texts put together."""
    plain = _TEMPLATE_ESCAPE.sub(lambda each: each[0].encode().decode("unicode-escape", "replace"), text)
    if found := TEMPLATE_ATTACKS.search(text) or TEMPLATE_ATTACKS.search(_TEMPLATE_JOINT.sub("", plain)):
        yield Verdict.UNSAFE, f"{name} has {found[0]!r}, which leads to Python's modules"


def in_json(values: tuple[object, ...]) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on the readings of a JSON text: chat templates, and what Transformers fetches and runs."""
    for value in objects_in(values):
        for text in texts_in(value.get("chat_template")):
            yield from in_template(text, "the chat template")
        for text in texts_in(value.get("auto_map")):
            whose = "another repository" if "--" in text else "its own"
            yield Verdict.UNKNOWN, f"code of {whose} (auto_map: {text[:80]})"
        for key in _KERNELS:
            if isinstance(named := value.get(key), str) and "/" in named:
                unasked = key == _KERNELS[0]
                yield (
                    Verdict.UNSAFE if unasked else Verdict.UNKNOWN,
                    f"kernels of another repository ({key}: {named[:80]})",
                )
        if value.get("trust_remote_code") is True:
            yield Verdict.UNKNOWN, "trust in code of other repositories (trust_remote_code)"


def in_yaml(data: bytes, name: str) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on what tags make, on what loaders import and call, and on a model of Keras', as `to_yaml` wrote it and `unsafe_load` read it."""
    if all(re.search(rb"(?m)^%b:\s" % key, data) for key in (b"class_name", b"config")):
        if re.search(rb"class_name:[ \t]*[\"']?Lambda\b", data):
            yield Verdict.UNSAFE, "a Lambda layer in YAML, whose code is in the file"
        else:
            yield Verdict.UNKNOWN, "a model of Keras' in YAML, which is not read"
    yield from in_names(documents(data), name)
    for target in {each.decode() for each in _TARGET.findall(data)}:  # where the text can't be read as YAML
        yield from in_target(target, "Hydra calls (_target_)")
    handles = {b"!!": b"tag:yaml.org,2002:"} | dict(_TAG_HANDLE.findall(data))
    for whole, handle, rest in set(_TAG.findall(data)):
        tag = unquote_to_bytes(whole or handles.get(handle, handle) + rest).decode("utf-8", "replace")
        if made := _MADE_BY_TAG.fullmatch(tag):
            yield from _in_tag(made["kind"], made["module"], made["name"])
        elif made := _HYPER.fullmatch(tag):
            yield from in_target(made[1], "HyperPyYAML calls (by a tag)")


def _in_tag(kind: str, module: str | None, name: str) -> Iterator[tuple[Verdict, str]]:
    """Yields the verdict on a tag of PyYAML's. What is only named or imported is told if it is Python's own: that can be called by other tags."""
    if kind == "module":
        module, name = f"{module}.{name}" if module else name, "__name__"
    use = {"object": Use.MADE, "name": Use.NAMED, "module": Use.NAMED}.get(kind, Use.CALLED)
    named = NamedObject(module or "builtins", name, use)
    verdict = _rated(named)
    if verdict is not Verdict.SAFE and (use is not Use.NAMED or is_known(named)):
        yield verdict, f"{named}, by a tag"


def _rated(named: NamedObject) -> Verdict:
    """Returns the verdict on a name in a configuration: what a package of the project has is unknown, even if it is called."""
    verdict = rate(named)
    known = is_known(named) or named.module.partition(".")[0] in FRAMEWORKS
    return verdict if known or verdict is Verdict.SAFE else Verdict.UNKNOWN


def in_paths(file: BinaryIO) -> Iterator[tuple[Verdict, str]]:
    """Yields a verdict on a path configuration file whose lines Python runs, if it lies in a folder of packages."""
    file.seek(0)
    if found := re.search(rb"(?m)^(?:\xef\xbb\xbf)?import[ \t].{0,80}", file.read(MAX_PATHS)):
        yield Verdict.UNKNOWN, f"a line that Python runs at its start: {found[0].decode('utf-8', 'replace')!r}"


def json_values(data: bytes) -> tuple[object, ...]:
    """Returns the value of a JSON text as Python's reader takes it; a second one where a key stands twice, of which others take the first.

    Nothing is returned for what is no JSON.

    Raises:
        IntegrityError: It is too deep to be read here, where another Python may read it.
    """
    twice = []

    def last(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        twice.extend([True] * (len(found) < len(pairs)))
        return found

    try:
        values = (json.loads(data, object_pairs_hook=last, parse_int=float),)
        return (*values, json.loads(data, object_pairs_hook=lambda pairs: dict(reversed(pairs)))) if twice else values
    except ValueError:
        return ()
    except RecursionError:
        raise IntegrityError("is nested too deep to be read") from None


def in_graph(file: BinaryIO) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on the operators of a TensorFlow graph that act outside of it, and on lambda layers in what Keras has written beside it."""
    from ahocorasick_rs import BytesAhoCorasick, MatchKind

    search = BytesAhoCorasick(_IN_GRAPHS, MatchKind.LeftmostLongest)
    found: set[str] = set()
    behind = b""
    file.seek(0)
    while chunk := file.read(CHUNK):
        piece = behind + chunk
        for number, start, _ in search.find_matches_as_indexes(piece):
            name = _IN_GRAPHS[number].decode()
            operator = number < len(_ACTING) + len(_READING)
            if not operator or piece[start - 1] in (
                0,
                len(name),
            ):  # its length, of which a longer spelling ends with a zero
                found.add(name)
        behind = chunk[-64:]
    for each in sorted(found.intersection(_ACTING)):
        yield Verdict.UNSAFE, f"the operator {each} of TensorFlow, which calls Python, writes files or sends data"
    for each in sorted(found.intersection(_READING)):
        yield Verdict.UNKNOWN, f"the operator {each} of TensorFlow, which reads files, or may write to one"
    if not found.isdisjoint(_LAMBDA):
        yield Verdict.UNSAFE, "a Lambda layer of Keras, whose code is in the file"
    elif {_HIDDEN, _KERAS} <= found:
        yield Verdict.UNSAFE, "a configuration of Keras with letters that are hidden by escapes"


def in_paddle(file: BinaryIO) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on the operators of a program of Paddle's that act outside of it. Such a program has no weights."""
    file.seek(0)
    data = file.read(MAX_CONFIG)
    for name, (verdict, what) in _PADDLE.items():
        if b"\x1a%c%b" % (len(name), name.encode()) in data:
            yield verdict, f"the operator {name} of Paddle, which {what}"


def in_text_graph(file: BinaryIO) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on what a text of protocol buffers makes its reader run: TensorFlow, whose operators may be spelled in many ways, Caffe, Triton."""
    file.seek(0)
    data = file.read(MAX_CONFIG)
    if re.search(rb"(?m)^[ \t]*meta_graphs[ \t]*[:{<]", data):
        yield Verdict.UNKNOWN, "a graph of TensorFlow as text, which may call Python or write files"
    if re.search(rb"\bpython_param\b", data):
        yield Verdict.UNKNOWN, "a layer of Python, whose module Caffe imports (python_param)"
    if re.search(rb"\bbackend[ \t]*:[ \t]*[\"']python[\"']", data):
        yield Verdict.UNKNOWN, "a model of Triton's that is Python code (backend)"


def in_start(file: BinaryIO) -> Iterator[tuple[Verdict, str]]:
    """Yields a verdict on a file with functions that Python calls at its start (PEP 829), if it lies in a folder of packages."""
    file.seek(0)
    if found := re.search(rb"(?m)^[ \t]*([\w.]+:[\w.]+)[ \t\r]*$", file.read(MAX_PATHS)):
        yield Verdict.UNKNOWN, f"a function that Python calls at its start: {found[1].decode('utf-8', 'replace')!r}"


def in_exported(data: bytes) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on a program of torch.export, which PyTorch runs. Its expressions are evaluated while it is loaded (`sympy.sympify`)."""
    for value in objects_in(json_values(data)):
        if "graph_module" in value:
            yield Verdict.UNKNOWN, "a program of torch.export, which PyTorch runs"
        if isinstance(text := value.get("expr_str"), str) and _NO_EXPRESSION.search(_PLAIN_TEXT.sub("", text)):
            yield Verdict.UNSAFE, f"an expression that is code: {text[:80]!r}"


def in_skops(data: bytes) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on what a skops schema names."""
    values = json_values(data)
    if not values:
        yield Verdict.UNKNOWN, "schema.json can't be read"
    for value in objects_in(values):
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


def in_openvino(file: BinaryIO) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on a model of OpenVINO's: its entities, and layers that are not OpenVINO's own."""
    yield from in_xml(file)
    file.seek(0)
    for found in set(_LAYERS.findall(file.read(MAX_CONFIG))):
        yield Verdict.UNKNOWN, f"layers of {found.decode('utf-8', 'replace')!r}, for which a library is loaded"


def in_serving(data: bytes) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on `serving.properties`, by which DJL Serving runs a module of Python, and trusts the code of a model that it fetches."""
    for key, value in re.findall(
        r"(?m)^[ \t]*option\.(\w+)[ \t]*[=:][ \t]*(.*?)[ \t\r]*$", data.decode("utf-8", "replace")
    ):
        if key == "entryPoint" and not value.startswith("djl_python."):
            yield Verdict.UNKNOWN, f"{value[:80]}, which DJL runs (option.entryPoint)"
        elif key == "trust_remote_code" and value.lower() == "true":
            yield Verdict.UNKNOWN, "trust in code of other repositories (option.trust_remote_code)"
