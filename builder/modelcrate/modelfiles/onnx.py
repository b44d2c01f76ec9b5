"""An ONNX model as a protobuf (onnx.proto): opsets, inputs, outputs, and the shapes of its weights. Weights are passed over."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from modelcrate.modelfiles.byte_reader import ByteReader
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, field

STANDARD = frozenset(
    {
        "",
        "ai.onnx",
        "ai.onnx.ml",
        "ai.onnx.training",
        "ai.onnx.preview.training",
        "com.microsoft",
        "com.microsoft.nchwc",
    }
)
"""Domains whose operators ONNX Runtime has. Those of others are in libraries that are loaded for the model."""

PYTHON = frozenset({"PyOp", "PyCustomOp", "PythonOp", "PythonOpGrad"})
"""Operators that call a function of Python by its name."""

COMPILED = "EPContext"
"""The operator of ONNX Runtime's that is machine code for a device, or names its file."""

MAX_FIELDS = 5_000_000
MAX_GRAPHS = 64
"""How deep graphs may stand in the attributes of nodes."""

MAX_TEXT = 4096
"""Bytes of a name, a domain or a path."""

MAX_NOTE = 1 << 20
"""Bytes of a note that YOLO evaluates: the names of what it finds."""

NOTES = frozenset({"names", "imgsz", "kpt_shape", "stride"})
"""What YOLO reads of the notes in a model (`metadata_props`). It evaluates some of them."""

MAX_OPERATORS = 10_000
"""Unusual operators that are kept, and functions that a model defines."""

_TYPES = [
    "undefined",
    "float",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "int32",
    "int64",
    "string",
    "bool",
    "float16",
    "double",
    "uint32",
    "uint64",
    "complex64",
    "complex128",
    "bfloat16",
    "float8e4m3fn",
    "float8e4m3fnuz",
    "float8e5m2",
    "float8e5m2fnuz",
    "uint4",
    "int4",
    "float4e2m1",
]


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output: its name, its element type, and its dimensions (a text for one of any size)."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(slots=True)
class Onnx:
    """The facts of an ONNX model. It is not frozen, because the reader fills it field by field."""

    ir_version: int = 0
    producer: str = ""
    producer_version: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    tensors: int = 0
    parameters: int = 0
    dtypes: Counter[str] = field(default_factory=Counter)
    nodes: int = 0
    weights: set[str] = field(default_factory=set)
    """Names of weights, for files before IR version 4, which list them among their inputs."""
    outside: set[str] = field(default_factory=set)
    """Files beside the model that hold weights."""
    compiled: bool = False
    """Whether a part of it is compiled for a device, in the model or in a file beside it."""
    operators: set[tuple[str, str]] = field(default_factory=set)
    """Operators that are not of ONNX or ONNX Runtime, or that call Python: domain and name."""
    functions: set[tuple[str, str]] = field(default_factory=set)
    """Operators that the model defines itself by others, which are read as well: domain and name."""

    notes: dict[str, str | None] = field(default_factory=dict)
    """The NOTES of the model; None for one that is too long."""

    def facts(self) -> dict[str, Any]:
        """Returns the facts for a report, as JSON values."""
        return {
            "ir_version": self.ir_version,
            "producer": " ".join(filter(None, (self.producer, self.producer_version))),
            "opsets": dict(sorted(self.opsets.items())),
            "inputs": [_port_facts(each) for each in self.inputs if each.name not in self.weights],
            "outputs": [_port_facts(each) for each in self.outputs],
            "tensors": self.tensors,
            "parameters": self.parameters,
            "dtypes": dict(sorted(self.dtypes.items())),
            "nodes": self.nodes,
            **({"external": sorted(self.outside)} if self.outside else {}),
        }


def read(file: BinaryIO, size: int) -> Onnx:
    """Returns the model's facts.

    Raises:
        IntegrityError: The file is cut short, has a field that reaches out of its message, or weights in a file outside of
            its own folder.
    """
    file.seek(0)
    tape, model = ByteReader(file), Onnx()
    budget = _Budget(MAX_FIELDS)
    for number, value in _fields(tape, size, budget):
        if number == 1 and isinstance(value, int):
            model.ir_version = value
        elif number in (2, 3) and isinstance(value, _Inside):
            setattr(model, "producer" if number == 2 else "producer_version", value.text(tape))
        elif number == 8 and isinstance(value, _Inside):
            _opset(tape, value, model, budget)
        elif number == 7 and isinstance(value, _Inside):
            _graph(tape, value, model, budget)
        elif number == 14 and isinstance(value, _Inside):
            _note(tape, value, model, budget)
        elif number in (20, 25) and isinstance(value, _Inside):
            _training_or_function(tape, value, model, budget, number == 20)
    model.operators -= {each for each in model.functions if each[1] not in PYTHON}
    if not model.ir_version or not model.opsets:
        raise IntegrityError("is no ONNX model: it has no version, or no set of operators")
    for name in model.outside:
        if leads_out(name):
            raise IntegrityError(f"has weights in a file that lies elsewhere: {name[:100]!r}")
        if "*" in name:  # ONNX Runtime's own mark: the offset is an address of the process
            raise IntegrityError(f"has weights at an address in memory: {name[:100]!r}")
    return model


def leads_out(name: str) -> bool:
    """Returns whether the name of another file leads out of the folder of the file that has it, on any system."""
    return bool(re.match(r"[/\\]|[A-Za-z]+:", name)) or ".." in name.replace("\\", "/").split("/")


class _Budget:
    """A counter of the fields that may still be read."""

    def __init__(self, left: int) -> None:
        self._left = left

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise IntegrityError(f"has more than {MAX_FIELDS} fields")


@dataclass(frozen=True, slots=True)
class _Inside:
    """A field with a length. Its bytes are passed over unless they are read before the next field."""

    end: int

    def text(self, tape: ByteReader) -> str:
        size = self.end - tape.position
        if size > MAX_TEXT:
            raise IntegrityError(f"has a name of {size} bytes")
        return tape.read(size).decode("utf-8", "replace")


def _fields(tape: ByteReader, end: int, budget: _Budget) -> Iterator[tuple[int, int | _Inside]]:
    while tape.position < end:
        budget.spend()
        tag = _varint(tape)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            yield number, _varint(tape)
        elif wire == 2:
            length = _varint(tape)
            inside = _Inside(tape.position + length)
            if inside.end > end:
                raise IntegrityError("is no protobuf, or is cut short: a field reaches out of its message")
            yield number, inside
            if tape.position > inside.end:
                raise IntegrityError("has a field that reaches out of its message")
            tape.skip(inside.end - tape.position)
        elif wire in (1, 5):
            tape.skip(8 if wire == 1 else 4)
        else:
            raise IntegrityError("is no protobuf: a field of an unknown kind")


def _varint(tape: ByteReader) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = tape.read(1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << 64) - 1)
    raise IntegrityError("is no protobuf: a number without an end")


def _opset(tape: ByteReader, inside: _Inside, model: Onnx, budget: _Budget) -> None:
    domain, version = "", 0
    for number, value in _fields(tape, inside.end, budget):
        if number == 1 and isinstance(value, _Inside):
            domain = value.text(tape)
        elif number == 2 and isinstance(value, int):
            version = value
    model.opsets[domain or "ai.onnx"] = version


def _training_or_function(tape: ByteReader, inside: _Inside, model: Onnx, budget: _Budget, training: bool) -> None:
    """Reads the operators of the graphs for training, or of a function that is defined in the model."""
    name = domain = ""
    for number, value in _fields(tape, inside.end, budget):
        if training and number in (1, 2) and isinstance(value, _Inside):
            _graph(tape, value, model, budget, 1)
        elif not training and number == 7 and isinstance(value, _Inside):
            _node(tape, value, model, budget, 1)
        elif not training and number == 11 and isinstance(value, _Inside):  # what an attribute is by default
            _attribute(tape, value, model, budget, 1)
        elif not training and number in (1, 10) and isinstance(value, _Inside):
            name, domain = (value.text(tape), domain) if number == 1 else (name, value.text(tape))
    if not training:
        _remember(model.functions, (domain, name))


def _graph(tape: ByteReader, inside: _Inside, model: Onnx, budget: _Budget, depth: int = 0) -> None:
    """Reads a graph; of one within another (`depth`) only the operators and the places of weights count."""
    if depth > MAX_GRAPHS:
        raise IntegrityError(f"has graphs within graphs, more than {MAX_GRAPHS} deep")
    for number, value in _fields(tape, inside.end, budget):
        if number == 1 and not depth:
            model.nodes += 1
        if not isinstance(value, _Inside):
            continue
        if number == 1:
            _node(tape, value, model, budget, depth)
        elif number == 5:
            _weights(tape, value, model, budget)
        elif number == 15:
            _sparse(tape, value, model, budget)
        elif number in (11, 12) and not depth:
            (model.inputs if number == 11 else model.outputs).append(_port(tape, value, budget))


def _node(tape: ByteReader, inside: _Inside, model: Onnx, budget: _Budget, depth: int) -> None:
    name = domain = ""
    for number, value in _fields(tape, inside.end, budget):
        if number == 4 and isinstance(value, _Inside):
            name = value.text(tape)
        elif number == 7 and isinstance(value, _Inside):
            domain = value.text(tape)
        elif number == 5 and isinstance(value, _Inside):
            _attribute(tape, value, model, budget, depth)
    model.compiled = model.compiled or name == COMPILED
    if domain not in STANDARD or name in PYTHON:
        _remember(model.operators, (domain, name))


def _remember(known: set[tuple[str, str]], operator: tuple[str, str]) -> None:
    known.add(operator)
    if len(known) > MAX_OPERATORS:
        raise IntegrityError(f"has more than {MAX_OPERATORS} operators of its own")


def _attribute(tape: ByteReader, inside: _Inside, model: Onnx, budget: _Budget, depth: int) -> None:
    """An attribute of a node: tensors and graphs in it are read as those of the model."""
    for number, value in _fields(tape, inside.end, budget):
        if not isinstance(value, _Inside):
            continue
        if number in (5, 10):
            _weights(tape, value, model, budget, count=False)
        elif number in (6, 11):
            _graph(tape, value, model, budget, depth + 1)
        elif number in (22, 23):
            _sparse(tape, value, model, budget)


def _sparse(tape: ByteReader, inside: _Inside, model: Onnx, budget: _Budget) -> None:
    for number, value in _fields(tape, inside.end, budget):
        if number in (1, 2) and isinstance(value, _Inside):
            _weights(tape, value, model, budget, count=False)


def _weights(tape: ByteReader, inside: _Inside, model: Onnx, budget: _Budget, count: bool = True) -> None:
    sides: list[int] = []
    kind = 0
    for number, value in _fields(tape, inside.end, budget):
        if number == 1 and isinstance(value, int):
            sides.append(value)
        elif number == 1 and isinstance(value, _Inside):
            while tape.position < value.end:
                budget.spend()
                sides.append(_varint(tape))
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8 and isinstance(value, _Inside) and model.ir_version < 4:
            model.weights.add(value.text(tape))
        elif number == 13 and isinstance(value, _Inside):
            key, text = _entry(tape, value, budget)
            if key == "location":
                model.outside.add(text)
    if math.prod(sides) > 1 << 48 or len(sides) > 64:
        raise IntegrityError("has weights of an impossible shape")
    if not count:
        return
    model.tensors += 1
    model.parameters += math.prod(sides)
    model.dtypes[_type(kind)] += 1


def _entry(tape: ByteReader, inside: _Inside, budget: _Budget) -> tuple[str, str]:
    found = {1: "", 2: ""}
    for number, value in _fields(tape, inside.end, budget):
        if number in found and isinstance(value, _Inside):
            found[number] = value.text(tape)
    return found[1], found[2]


def _note(tape: ByteReader, inside: _Inside, model: Onnx, budget: _Budget) -> None:
    """Keeps a note. Of one that stands more than once, readers take the last or the first: all of them are told, one behind the other."""
    key, text, whole = "", "", True
    for number, value in _fields(tape, inside.end, budget):
        if number not in (1, 2) or not isinstance(value, _Inside):
            continue
        size = value.end - tape.position
        data = tape.read(min(size, MAX_NOTE)).decode("utf-8", "replace")
        key, text, whole = (data, text, whole) if number == 1 else (key, data, size <= MAX_NOTE)
    if key in NOTES:
        before = model.notes.get(key, "")
        model.notes[key] = f"{before}\n{text}".strip() if whole and before is not None else None


def _port(tape: ByteReader, inside: _Inside, budget: _Budget) -> Port:
    name, kind, shape = "", 0, list[int | str]()
    for number, value in _fields(tape, inside.end, budget):
        if number == 1 and isinstance(value, _Inside):
            name = value.text(tape)
        elif number == 2 and isinstance(value, _Inside):
            for inner, tensor in _fields(tape, value.end, budget):
                if inner == 1 and isinstance(tensor, _Inside):
                    kind, shape = _tensor_type(tape, tensor, budget)
    return Port(name, _type(kind), tuple(shape))


def _tensor_type(tape: ByteReader, inside: _Inside, budget: _Budget) -> tuple[int, list[int | str]]:
    kind, shape = 0, list[int | str]()
    for number, value in _fields(tape, inside.end, budget):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 2 and isinstance(value, _Inside):
            for inner, side in _fields(tape, value.end, budget):
                if inner == 1 and isinstance(side, _Inside):
                    shape.append(_side(tape, side, budget))
    return kind, shape


def _side(tape: ByteReader, inside: _Inside, budget: _Budget) -> int | str:
    found: int | str = "?"
    for number, value in _fields(tape, inside.end, budget):
        if number == 1 and isinstance(value, int):
            found = value
        elif number == 2 and isinstance(value, _Inside):
            found = value.text(tape) or "?"
    return found


def _type(kind: int) -> str:
    return _TYPES[kind] if kind < len(_TYPES) else f"type {kind}"


def _port_facts(port: Port) -> dict[str, Any]:
    return {"name": port.name, "type": port.dtype, "shape": list(port.shape)}
