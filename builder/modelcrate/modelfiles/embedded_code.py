"""Code in model files that are no pickles: Keras' lambda layers, TorchScript, chat templates, operators of ONNX. Nothing of it is run."""

from __future__ import annotations

import io
import re
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os.path import splitext
from typing import BinaryIO

from modelcrate.modelfiles import hdf5
from modelcrate.modelfiles.beginnings import may_configure_code
from modelcrate.modelfiles.configured_code import (
    in_chat_templates,
    in_graph,
    in_skops,
    in_template,
    in_xml,
    keras_in_json,
    objects_in,
)
from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.gguf import Gguf
from modelcrate.modelfiles.onnx import PYTHON, Onnx, leads_out
from modelcrate.modelfiles.pickle.findings import NamedObject, Use
from modelcrate.modelfiles.pickle.policy import Judgement, rate
from modelcrate.modelfiles.pickle.windows import Window
from modelcrate_layers.content import CHUNK, parse_json
from modelcrate_layers.errors import IntegrityError

MAX_CONFIG = 64 << 20
"""Bytes of a Keras model's configuration, and of one module of TorchScript."""

MAX_NAMED = 8
"""Findings of one sort that are named."""

MAX_MEMBER = 8 << 30
"""Bytes of a compressed HDF5 file in a Keras model, unpacked."""

_SCRIPT_ATTACKS = re.compile(
    r"\b(from_file|torch\.save|torch\.load|aten::save|torch\.ops\.(?!aten|prim|torchvision|quantized)\w+)\b"
)
"""Operators of TorchScript that read or write files, or that other libraries bring."""

_KERAS = re.compile(r"(keras|tf_keras|tensorflow|keras_hub|keras_nlp|keras_cv|builtins)(\.|$)")
_KERAS_FUNCTIONS = re.compile(
    r"(keras|tf_keras|tensorflow\.keras|builtins)(\..*)?\.?(activations|losses|metrics|initializers|regularizers|constraints|optimizers|ops)(\.|$)"
)
"""Where the functions are that a configuration may name; others (`keras.utils.get_file`) fetch and unpack."""

_TENSORFLOW_CALLS = frozenset(
    {"TFOpLambda", "TensorFlowOpLayer", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty"}
)
"""Layers of Keras 2 that call a function of TensorFlow by its name."""

_TENSORFLOW_ACTS = re.compile(
    r"(?i)(^|\.)(io|data|saved_model|train|compat|raw_ops|autograph|distribute|summary|keras|__)|file|py_?func|numpy_function|load|write|read"
    r"|save|restore|print|audio|py_function|eval|exec"
)
"""Functions of TensorFlow that read, write or run something."""

_LIBRARIES = (".so", ".dll", ".dylib", ".pyd")

_PICKLED = frozenset({"TorchModuleWrapper"})
_OUTER = frozenset({"TFSMLayer", "JaxLayer", "FlaxLayer"})
"""Layers of Keras whose weights are a pickle, and those that call what is not in the file."""

_LAMBDA = (b'"Lambda"', b'"__lambda__"', b"\\u00")
"""What a Keras configuration in an HDF5 file has that has a lambda layer, or hides a word by escapes."""


def in_onnx(model: Onnx) -> Iterator[Judgement]:
    """Yields a verdict on operators that are not of ONNX or ONNX Runtime."""
    python = sorted(f"{domain}.{name}" for domain, name in model.operators if name in PYTHON)
    if python:
        yield _judged(Verdict.UNSAFE, "onnx", *(f"the operator {each}, which calls Python" for each in python))
    domains = sorted({domain for domain, name in model.operators if name not in PYTHON})
    if domains:
        yield _judged(
            Verdict.UNKNOWN, "onnx", *(f"operators of {each}, for which a library is loaded" for each in domains)
        )


def in_gguf(model: Gguf) -> Iterator[Judgement]:
    """Yields a verdict on chat templates that lead out of Jinja's own values, or are too long to be read."""
    for key, text in model.templates:
        if text is None:
            yield _judged(Verdict.UNKNOWN, "gguf", f"{key} is too long to be read", unread=True)
        else:
            yield from _each("gguf", in_template(text, key))


def in_configuration(data: bytes, name: str) -> Iterator[Judgement]:
    """Yields verdicts on a model of Keras' in JSON, and on chat templates."""
    if not may_configure_code(data, name):
        return
    yield from _each("transformers", in_chat_templates(data, name))
    if keras_in_json(data):
        yield from in_keras_config(data, name)


def in_tensorflow(file: BinaryIO) -> Iterator[Judgement]:
    """Yields verdicts on the operators of a TensorFlow graph."""
    yield from _each("tensorflow", in_graph(file))


def in_pmml(file: BinaryIO) -> Iterator[Judgement]:
    """Yields a verdict on an XML file that declares entities."""
    yield from _each("xml", in_xml(file))


def _each(framework: str, found: Iterable[tuple[Verdict, str]]) -> Iterator[Judgement]:
    rated: dict[Verdict, set[str]] = {}
    for verdict, why in found:
        rated.setdefault(verdict, set()).add(why)
    for verdict, because in rated.items():
        yield _judged(verdict, framework, *sorted(because)[:MAX_NAMED])


def in_zip(file: BinaryIO) -> Iterator[Judgement]:
    """Yields verdicts on a Keras model's configuration and on TorchScript's modules, if the zip has such."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if "config.json" in names:
            config = _member(archive, "config.json")
            if "metadata.json" in names or "model.weights.h5" in names or keras_in_json(config):
                yield from in_keras_config(config)
        if "schema.json" in names:
            yield from _each("skops", in_skops(_member(archive, "schema.json")))
        yield from _in_archive(names)
        for info in archive.infolist():
            if splitext(info.filename)[1].lower() in (".h5", ".hdf5"):
                with _seekable(archive, info, file) as member:
                    yield from in_hdf5(member, info.file_size)
        scripts = [name for name in names if re.search(r"(^|/)code/.*\.py$", name)]
        attacks = {
            f"{name}: {found[0].decode()}"
            for name in scripts
            if (found := re.search(_SCRIPT_ATTACKS.pattern.encode(), _member(archive, name)))
        }
        if attacks:
            yield _judged(Verdict.UNSAFE, "torch", *sorted(attacks))
        elif scripts:
            yield _judged(
                Verdict.UNKNOWN, "torch", f"TorchScript in {len(scripts)} modules, which PyTorch runs ({scripts[0]})"
            )


def _in_archive(names: list[str]) -> Iterator[Judgement]:
    """Yields verdicts on programs in a zip that its loaders run: TorchServe's handlers, PyTorch's packages, compiled models. Wheels are none."""
    if any(each.endswith(".dist-info/RECORD") for each in names):
        return
    if libraries := [each for each in names if each.endswith(_LIBRARIES)]:
        yield _judged(Verdict.UNKNOWN, "torch", f"machine code, which a loader may run ({libraries[0][:100]})")
    served = "MAR-INF/MANIFEST.json" in names or any(re.search(r"(^|/)\.data/", each) for each in names)
    if served and (scripts := [each for each in names if each.endswith(".py")]):
        yield _judged(Verdict.UNKNOWN, "torch", f"Python code, which a loader runs ({scripts[0][:100]})")


def in_hdf5(file: BinaryIO, size: int) -> Iterator[Judgement]:
    """Yields verdicts on an HDF5 file: Keras' configuration in it, other files that are read with it, filters of other libraries."""
    try:
        found = hdf5.read(file, size)
    except IntegrityError as fault:
        yield unread("hdf5", f"it {fault.what}")
        return
    if found is None:
        yield from _searched(file)
        return
    elsewhere = [f"data in a file that lies elsewhere: {each!r}" for each in found.outside if leads_out(each)]
    if found.virtual:
        elsewhere.append("a virtual dataset, whose data may be in any file")
    if elsewhere:
        yield _judged(Verdict.UNSAFE, "hdf5", *elsewhere[:MAX_NAMED])
    if found.plugins:
        yield _judged(
            Verdict.UNKNOWN, "hdf5", *(f"the filter {each}, for which a library is loaded" for each in found.plugins)
        )
    for name, text in found.configs:
        yield from in_keras_config(text, name)


def _searched(file: BinaryIO) -> Iterator[Judgement]:
    """A file that only begins as HDF5: it is searched for the words that a configuration with a lambda layer has."""
    file.seek(0)
    behind = b""
    words: set[bytes] = set()
    while chunk := file.read(CHUNK):
        words |= {each for each in _LAMBDA if each in behind + chunk}
        behind = chunk[-16:]
    if words & set(_LAMBDA[:2]):
        yield _judged(Verdict.UNSAFE, "keras", "a Lambda layer of Keras, whose code is in the file")
    elif b"\\u00" in words and _is_keras(file):
        yield _judged(Verdict.UNKNOWN, "keras", "a configuration with escaped letters", unread=True)


def _is_keras(file: BinaryIO) -> bool:
    file.seek(0)
    return any(b"model_config" in chunk for chunk in iter(lambda: file.read(CHUNK), b""))


def in_keras_config(data: bytes, name: str = "config.json") -> Iterator[Judgement]:
    """Yields a verdict on what a Keras configuration makes Python import."""
    try:
        config = parse_json(data, limit=MAX_CONFIG)
    except IntegrityError:
        yield _judged(Verdict.UNKNOWN, "keras", f"{name} can't be read", unread=True)
        return
    rated = {why: verdict for why, verdict in _keras_objects(config) if verdict is not Verdict.SAFE}
    if rated:
        worst = max(rated.values(), key=lambda one: one.value)
        yield _judged(worst, "keras", *sorted(why for why, verdict in rated.items() if verdict is worst))


def _keras_objects(config: object) -> Iterator[tuple[str, Verdict]]:
    for value in objects_in(config):
        if isinstance(value.get("class_name"), str):
            yield _keras_object(value["class_name"], value.get("module"), value.get("config"))


def _keras_object(name: str, module: object, config: object) -> tuple[str, Verdict]:
    if name == "__lambda__" or (name == "Lambda" and isinstance(config, dict) and _has_code(config.get("function"))):
        return "a Lambda layer, whose code is in the file", Verdict.UNSAFE
    if name in _TENSORFLOW_CALLS and isinstance(config, dict):
        called = str(config.get("function") or config.get("node_def") or config.get("method_name"))[:1000]
        return f"a layer that calls tensorflow.{called[:80]}", Verdict.UNSAFE if _TENSORFLOW_ACTS.search(
            called
        ) else Verdict.SAFE
    if name == "Lambda":
        return "a Lambda layer, which calls a function of the project", Verdict.UNKNOWN
    if outer := _keras_outer(name, config):
        return outer
    if not isinstance(module, str):
        return "", Verdict.SAFE
    function = name in ("function", "builtin_function_or_method") and isinstance(config, str)
    called = config if function and isinstance(config, str) else name
    if not _KERAS.match(module):
        return f"{module}.{called}", max(
            Verdict.UNKNOWN, rate(NamedObject(module, called, Use.MADE)), key=lambda one: one.value
        )
    if module == "builtins":
        return f"builtins.{called}", Verdict.UNKNOWN if function else Verdict.SAFE
    named_as_function = function or called[:1].islower()
    return f"{module}.{called}", Verdict.UNSAFE if named_as_function and not _KERAS_FUNCTIONS.match(
        module
    ) else Verdict.SAFE


def _keras_outer(name: str, config: object) -> tuple[str, Verdict] | None:
    """Returns the verdict on a layer that loads what is not in the configuration; None for another one."""
    if name in _PICKLED:
        return f"the layer {name}, which is a pickle of PyTorch's", Verdict.UNSAFE
    if name in _OUTER:
        return f"the layer {name}, which calls what is not in the file", Verdict.UNKNOWN
    words = config.get("vocabulary") if isinstance(config, dict) else None
    if isinstance(words, str) and ("://" in words or leads_out(words)):
        return f"the layer {name}, which reads {words[:80]!r}", Verdict.UNSAFE
    return None


def _has_code(function: object) -> bool:
    return isinstance(function, list) or (isinstance(function, dict) and function.get("class_name") == "__lambda__")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        data = member.read(MAX_CONFIG + 1)
    if len(data) > MAX_CONFIG:
        raise IntegrityError(f"has a member of more than {MAX_CONFIG} bytes: {name[:100]!r}")
    return data


@contextmanager
def _seekable(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: BinaryIO) -> Iterator[BinaryIO]:
    """Yields a member as a file in which every place can be reached. Keras stores them as they are; a compressed one is unpacked."""
    if info.compress_type == zipfile.ZIP_STORED:
        file.seek(info.header_offset + 26)
        start = info.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
        yield io.BufferedReader(Window(file, start, info.compress_size))
        return
    with archive.open(info) as packed, tempfile.TemporaryFile() as plain:
        while piece := packed.read(CHUNK):
            if plain.tell() > MAX_MEMBER:
                raise IntegrityError(f"has a member of more than {MAX_MEMBER >> 30} GiB: {info.filename[:100]!r}")
            plain.write(piece)
        yield plain


def unread(framework: str, why: str) -> Judgement:
    """Returns the verdict on what could not be read."""
    return _judged(Verdict.UNKNOWN, framework or "python", why, unread=True)


def _judged(verdict: Verdict, framework: str, *because: str, unread: bool = False) -> Judgement:
    return Judgement("", verdict, framework, because, unread=unread, embedded=True)
