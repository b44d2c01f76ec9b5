"""Code in model files that are no pickles: Keras' lambda layers, TorchScript, chat templates, operators of ONNX. Nothing of it is run."""

from __future__ import annotations

import io
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from os.path import splitext
from typing import BinaryIO, cast

from modelcrate.modelfiles import hdf5
from modelcrate.modelfiles.beginnings import (
    MAX_CONFIG,
    MODULE_NAMES,
    SERVING,
    ends_as_zip,
    is_template,
    is_yaml,
    long_may_configure_code,
    may_configure,
    may_configure_code,
)
from modelcrate.modelfiles.configured_code import (
    in_exported,
    in_graph,
    in_json,
    in_openvino,
    in_paddle,
    in_paths,
    in_serving,
    in_skops,
    in_start,
    in_template,
    in_text_graph,
    in_xml,
    in_yaml,
    json_values,
)
from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.formats import LIBRARIES, Format, Sample, ending_of
from modelcrate.modelfiles.gguf import Gguf, unknown_types
from modelcrate.modelfiles.keras_config import in_keras_config, keras_in_json
from modelcrate.modelfiles.named_code import in_names, is_code
from modelcrate.modelfiles.onnx import PYTHON, Onnx, leads_out
from modelcrate.modelfiles.pickle.containers import contents_of
from modelcrate.modelfiles.pickle.contents import Archive, Configuration, Found, Members
from modelcrate.modelfiles.pickle.policy import Judgement, judge
from modelcrate.modelfiles.pickle.windows import Window
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import replace
from modelcrate_layers.patterns import compile_later

MAX_NAMED = 8
"""Findings of one sort that are named."""

MAX_MEMBER = 8 << 30
"""Bytes of a compressed HDF5 file in a Keras model, unpacked."""

_SCRIPT_ATTACKS = compile_later(
    rb"\b(from_file|torch\.save|torch\.load|aten::save|torch\.ops\.(?!aten|prim|torchvision|quantized)\w+)\b"
)
"""Operators of TorchScript that read or write files, or that other libraries bring."""

_SCRIPT = compile_later(r"(^|/)(code/.*\.py|bytecode\.pkl)$")
_EXPORTED = compile_later(r"(^|/)(serialized_exported_program|models/[^/]+)\.json$")
"""Where TorchScript is in an archive, for phones as well, and where programs of torch.export are."""

_LAMBDA = (b'"Lambda"', b'"__lambda__"', b"\\u00")
"""What a Keras configuration in an HDF5 file has that has a lambda layer, or hides a word by escapes."""


_TOO_LONG = Judgement.of_code(
    Verdict.UNKNOWN,
    "json",
    f"names of code among more than {MAX_CONFIG >> 20} MiB of a configuration, which are not read",
)

_SEARCHED: Mapping[str, Callable[[BinaryIO], Iterator[tuple[Verdict, str]]]] = {
    "tensorflow": in_graph,
    "tflite": in_graph,
    "paddle": in_paddle,
    "pbtxt": in_text_graph,
    "pmml": in_xml,
    "openvino": in_openvino,
    "paths": in_paths,
    "start": in_start,
}
"""What is looked for in the bytes of formats that have no reader here."""


def in_file(file: BinaryIO, sample: Sample, known: Format | None) -> Iterator[Judgement]:
    """Yields the verdicts on a file of a known format, or of none, that is neither ONNX nor GGUF: every reader that may find something."""
    word = known.word if known is not None else ""
    if known is not None and known.unread:
        yield Judgement.of_code(Verdict.UNKNOWN, word, known.unread)
    if word == "hdf5":
        yield from in_hdf5(file, sample.size)
    elif word in _SEARCHED:
        yield from _each(word, _SEARCHED[word](file))
    if may_configure(sample.name):
        file.seek(0)
        if sample.size <= MAX_CONFIG:
            yield from in_configuration(file.read(), sample.name)
        elif long_may_configure_code(file, sample.name):
            yield _TOO_LONG
    if sample.head.startswith(b"PK") or ends_as_zip(file):
        yield from in_archive(Archive("", file), sample.name)


def in_onnx(model: Onnx) -> Iterator[Judgement]:
    """Yields a verdict on operators that are not of ONNX or ONNX Runtime."""
    python = sorted(f"{domain}.{name}" for domain, name in model.operators if name in PYTHON)
    if python:
        yield Judgement.of_code(
            Verdict.UNSAFE, "onnx", *(f"the operator {each}, which calls Python" for each in python)
        )
    domains = sorted({domain for domain, name in model.operators if name not in PYTHON})
    if domains:
        yield Judgement.of_code(
            Verdict.UNKNOWN, "onnx", *(f"operators of {each}, for which a library is loaded" for each in domains)
        )
    if model.compiled:
        yield Judgement.of_code(Verdict.UNKNOWN, "onnx", "a part that is compiled for a device, which is machine code")
    yield from _in_onnx_notes(model.notes)


def _in_onnx_notes(notes: Mapping[str, str | None]) -> Iterator[Judgement]:
    """Yields verdicts on what YOLO evaluates of the notes in a model that it has exported."""
    for key, text in notes.items():
        if text is None:
            yield Judgement.of_code(Verdict.UNKNOWN, "onnx", f"{key} is too long to be read", unread=True)
        elif "stride" in notes and is_code(text):
            yield Judgement.of_code(Verdict.UNSAFE, "onnx", f"{text[:80]!r}, which YOLO evaluates ({key})")


def in_gguf(model: Gguf) -> Iterator[Judgement]:
    """Yields verdicts on chat templates that lead out of Jinja's own values, and on what could not be read to its end."""
    if kinds := unknown_types(model.tensors):
        why = f"tensors of type {', '.join(map(str, kinds[:MAX_NAMED]))}, which is not known: where they end was not checked"
        yield Judgement.of_code(Verdict.UNKNOWN, "gguf", why)
    for key, text in model.templates:
        if text is None:
            yield Judgement.of_code(Verdict.UNKNOWN, "gguf", f"{key} is too long to be read", unread=True)
        else:
            yield from _each("gguf", in_template(text, key))


def in_member(member: Configuration) -> Iterator[Judgement]:
    """Yields verdicts on a configuration in an archive."""
    found = in_configuration(member.data, member.inner) if member.data is not None else [_TOO_LONG]
    for each in found:
        yield replace(each, inner=member.inner)


def in_configuration(data: bytes, name: str) -> Iterator[Judgement]:
    """Yields verdicts on a model of Keras' in JSON or YAML, on YAML's tags, on chat templates, and on what Transformers and Hydra run."""
    if not may_configure_code(data, name):
        return
    if is_template(name):
        yield from _each("transformers", in_template(data.decode("utf-8", "replace"), name))
    elif name.endswith(SERVING):
        yield from _each("djl", in_serving(data))
    elif name.endswith(MODULE_NAMES):
        named = {name.rpartition("/")[2]: data.decode("utf-8", "replace").strip()}
        yield from _each("mlflow", in_names((named,), name))
    elif is_yaml(name):
        yield from _each("yaml", in_yaml(data, name))
    else:
        try:
            values = json_values(data)
        except IntegrityError as fault:
            yield Judgement.of_code(Verdict.UNKNOWN, "json", f"it {fault.what}", unread=True)
            return
        yield from _each("json", (*in_json(values), *in_names(values, name)))
        if keras_in_json(values):
            yield from in_keras_config(values)


def _each(framework: str, found: Iterable[tuple[Verdict, str]]) -> Iterator[Judgement]:
    rated: dict[Verdict, set[str]] = {}
    for verdict, why in found:
        rated.setdefault(verdict, set()).add(why)
    for verdict, because in rated.items():
        yield Judgement.of_code(verdict, framework, *sorted(because)[:MAX_NAMED])


def in_tar(archive: Members) -> Iterator[Judgement]:
    """Yields verdicts on programs in a tar that its loaders run: SageMaker's and TorchServe's scripts, machine code."""
    names = list(archive.names)
    for each in _in_archive(names, list(filter(_SCRIPT.search, names))):
        yield replace(each, inner=archive.inner)


def in_archive(archive: Archive, name: str = "") -> Iterator[Judgement]:
    """Yields verdicts on a zip: a file with this name, or what is in one."""
    try:
        for each in _in_zip(archive.file, name or archive.inner):
            yield replace(each, inner=archive.inner)
    except (IntegrityError, OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as fault:
        what = f"has members that can't be read: {type(fault).__name__}"
        yield replace(Judgement.of_code(Verdict.UNKNOWN, "python", what, unread=True), inner=archive.inner)


def _in_zip(file: BinaryIO, name: str) -> Iterator[Judgement]:
    """Yields verdicts on a Keras model's configuration and on TorchScript's modules, if the zip has such."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        keras = "config.json" in names and not {"metadata.json", "model.weights.h5"}.isdisjoint(names)
        if keras and not json_values(_member(archive, archive.getinfo("config.json"))):
            yield Judgement.of_code(Verdict.UNKNOWN, "keras", "config.json can't be read", unread=True)
        if "schema.json" in names:
            yield from _each("skops", in_skops(_member(archive, archive.getinfo("schema.json"))))
        known = frozenset(names)
        for info in archive.infolist():
            if splitext(info.filename)[1].lower() in (".h5", ".hdf5"):
                with _seekable(archive, info, file) as member:
                    yield from in_hdf5(member, info.file_size)
        programs = (each for each in archive.infolist() if _EXPORTED.search(each.filename))
        yield from _each("torch", (found for each in programs for found in in_exported(_member(archive, each))))
        scripts = [each for each in archive.infolist() if _is_torchscript(each.filename, known)]
        python = [each for each in names if _SCRIPT.search(each) and not _is_torchscript(each, known)]
        if not name.endswith(".whl"):
            yield from _in_archive(names, python)
        attacks = {
            f"{each.filename}: {found[0].decode()}"
            for each in scripts
            if (found := _SCRIPT_ATTACKS.search(_member(archive, each)))
        }
        if attacks:
            yield Judgement.of_code(Verdict.UNSAFE, "torch", *sorted(attacks))
        elif scripts:
            yield Judgement.of_code(
                Verdict.UNKNOWN,
                "torch",
                f"TorchScript in {len(scripts)} modules, which PyTorch runs ({scripts[0].filename})",
            )


def _is_torchscript(name: str, names: frozenset[str]) -> bool:
    """Whether a program in a zip is one of TorchScript's, which lies beside the data of its modules; another is Python's, as SageMaker runs it."""
    found = _SCRIPT.search(name)
    return found is not None and (name.endswith(".pkl") or f"{name[: found.start(2)]}data.pkl" in names)


def _in_archive(names: list[str], scripts: list[str]) -> Iterator[Judgement]:
    """Yields verdicts on programs in an archive that its loaders run: `scripts`, TorchServe's handlers, PyTorch's packages, compiled models."""
    if libraries := [each for each in names if ending_of(each) in LIBRARIES]:
        yield Judgement.of_code(
            Verdict.UNKNOWN, "torch", f"machine code, which a loader may run ({libraries[0][:100]})"
        )
    served = "MAR-INF/MANIFEST.json" in names or any(re.search(r"(^|/)\.data/", each) for each in names)
    if served:
        scripts = scripts + [each for each in names if each.endswith(".py") and not _SCRIPT.search(each)]
    if scripts:
        yield Judgement.of_code(Verdict.UNKNOWN, "torch", f"Python code, which a loader runs ({scripts[0][:100]})")


def in_hdf5(file: BinaryIO, size: int) -> Iterator[Judgement]:
    """Yields verdicts on an HDF5 file: Keras' configuration in it, other files that are read with it, filters of other libraries."""
    try:
        found = hdf5.read(file, size)
        configs = [(name, json_values(text)) for name, text in found.configs] if found else []
    except IntegrityError as fault:
        yield Judgement.of_code(Verdict.UNKNOWN, "hdf5", f"it {fault.what}", unread=True)
        return
    if found is None:
        yield from _searched(file)
        return
    elsewhere = [f"data in a file that lies elsewhere: {each!r}" for each in found.outside if leads_out(each)]
    if found.virtual:
        elsewhere.append("a virtual dataset, whose data may be in any file")
    if elsewhere:
        yield Judgement.of_code(Verdict.UNSAFE, "hdf5", *elsewhere[:MAX_NAMED])
    if found.plugins:
        yield Judgement.of_code(
            Verdict.UNKNOWN, "hdf5", *(f"the filter {each}, for which a library is loaded" for each in found.plugins)
        )
    if found.rows:
        yield Judgement.of_code(Verdict.UNKNOWN, "hdf5", "rows of objects, which PyTables unpickles")
    for name, value in found.ended:
        for each in contents_of(io.BytesIO(value), ""):
            if isinstance(each, Found) and (judged := judge(each)) is not None:
                yield replace(judged, inner=f"the attribute {name[:100]}")
    for name, values in configs:
        if values:
            yield from in_keras_config(values)
        else:
            yield Judgement.of_code(Verdict.UNKNOWN, "keras", f"{name} can't be read", unread=True)


def _searched(file: BinaryIO) -> Iterator[Judgement]:
    """A file that only begins as HDF5: it is searched for the words that a configuration with a lambda layer has."""
    file.seek(0)
    behind = b""
    words: set[bytes] = set()
    while chunk := file.read(CHUNK):
        words |= {each for each in _LAMBDA if each in behind + chunk}
        behind = chunk[-16:]
    if words & set(_LAMBDA[:2]):
        yield Judgement.of_code(Verdict.UNSAFE, "keras", "a Lambda layer of Keras, whose code is in the file")
    elif b"\\u00" in words and _is_keras(file):
        yield Judgement.of_code(Verdict.UNKNOWN, "keras", "a configuration with escaped letters", unread=True)


def _is_keras(file: BinaryIO) -> bool:
    file.seek(0)
    return any(b"model_config" in chunk for chunk in iter(lambda: file.read(CHUNK), b""))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as member:
        data = member.read(MAX_CONFIG + 1)
    if len(data) > MAX_CONFIG:
        raise IntegrityError(f"has a member of more than {MAX_CONFIG} bytes: {info.filename[:100]!r}")
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
        yield cast("BinaryIO", plain)
