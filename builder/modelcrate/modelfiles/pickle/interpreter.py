"""What a pickle would call, found by running its opcodes over values that stand for values. Nothing is imported, nothing is made.

The machine follows stack, marks and memo as the real one does, because a name may be put together far from where it is used. Where the
program does something that the real machine would not survive, it goes on with what it has, and the fault is told: a reader that stops
early can be shown a harmless beginning.
"""

from __future__ import annotations

import _compat_pickle

from modelcrate.modelfiles.byte_reader import ByteReader
from modelcrate.modelfiles.pickle.arrays import array_bytes, dtype_of
from modelcrate.modelfiles.pickle.findings import (
    COMPUTED,
    JOBLIB,
    Description,
    MadeObject,
    NamedObject,
    PickleFindings,
    is_named,
)
from modelcrate.modelfiles.pickle.opcodes import ARGUMENTS, OPAQUE
from modelcrate.modelfiles.pickle.vm import MARK, OPCODE_ACTIONS
from modelcrate_layers.errors import IntegrityError

MAX_STACK = 1 << 20
MAX_MEMO = 1 << 23
"""How many values are followed; models have some hundred thousand."""

MAX_NAMES = 10_000

VERSIONS = {"_sklearn_version": "scikit-learn"}
"""Keys under which objects keep the version of the package that pickled them."""

FEATURES = "n_features_in_"
"""Where scikit-learn's estimators keep how many features they were fitted with."""

FEATURE_NAMES = "feature_names_in_"
"""Where they keep the names of the columns, if they were fitted on a frame of pandas with such names."""

MAX_SAID = 16

MAX_NESTED = 8
"""How deep one pickle may stand in another's arrays."""

Value = object


class Faults(list[str]):
    """What was wrong, as the run goes on."""


class Strict(Faults):
    """The first fault ends the run, as it would end the real machine."""

    def append(self, what: str) -> None:
        raise IntegrityError(what)


def interpret(tape: ByteReader, faults: Faults | None = None, depth: int = 0) -> PickleFindings:
    """Read one pickle, as joblib would, up to its end. It raises nothing: a broken pickle is a fact about it."""
    return _run(_Machine(tape, Faults() if faults is None else faults, depth))


def interpret_plain(tape: ByteReader) -> PickleFindings:
    """Read one pickle as `pickle.load` would: what joblib takes for an array are opcodes, too, and the first fault is the end."""
    return _run(_Plain(tape, Strict(), 0))


def _run(machine: _Machine) -> PickleFindings:
    faults = list[str]()
    whole = False
    try:
        whole = machine.run()
    except IntegrityError as fault:
        faults.append(fault.what)
    except (OSError, EOFError, ValueError) as fault:  # a compressed stream that breaks in the middle
        faults.append(f"can't be unpacked: {type(fault).__name__}")
    names = tuple(sorted(machine.names.values(), key=lambda one: (one.module, one.name)))
    told = tuple(dict.fromkeys((*machine.faults, *faults)))[:8]
    features = machine.features.pop() if len(machine.features) == 1 else 0
    return PickleFindings(
        names, whole, told, machine.protocol, machine.arrays, tuple(machine.said.values()), features, machine.framed
    )


class _Machine:
    """Stack, marks and memo. Not a value: it is a run."""

    def __init__(self, tape: ByteReader, faults: Faults, depth: int) -> None:
        self.tape, self.faults, self.depth = tape, faults, depth
        self.stack: list[Value] = []
        self.memo: dict[int, Value] = {}
        self.names: dict[tuple[str, str], NamedObject] = {}
        self.said: dict[tuple[str, str], Description] = {}
        self.features: set[int] = set()
        self.framed = False
        self.protocol, self.arrays = 0, False

    def run(self) -> bool:
        """True when STOP was reached, False when the file ended before it."""
        while byte := self.tape.maybe():
            code = byte[0]
            read = ARGUMENTS.get(code)
            if read is None:
                raise IntegrityError(f"byte {self.tape.position - 1} is no opcode")
            argument = read(self.tape)
            if code == 0x2E:
                return True
            act = OPCODE_ACTIONS.get(code)
            if act is None:
                self.push(argument)
            else:
                act(self, argument)
        raise IntegrityError("is cut short: it has no end")

    def push(self, value: Value) -> None:
        if len(self.stack) >= MAX_STACK:
            raise IntegrityError(f"holds more than {MAX_STACK} values at once")
        self.stack.append(value)

    def pop(self) -> Value:
        if not self.stack:
            self.faults.append("takes from an empty stack")
            return OPAQUE
        return self.stack.pop()

    def items(self) -> list[Value]:
        """What lies above the last mark, and the mark is gone."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is MARK:
                found = self.stack[at + 1 :]
                del self.stack[at:]
                return found
        self.faults.append("goes back to a mark that isn't there")
        found, self.stack = self.stack, []
        return found

    def top(self) -> Value:
        if not self.stack:
            self.faults.append("looks at an empty stack")
            return OPAQUE
        return self.stack[-1]

    def keep(self, number: int, value: Value) -> None:
        if len(self.memo) >= MAX_MEMO:
            raise IntegrityError(f"remembers more than {MAX_MEMO} values")
        self.memo[number] = value

    def recall(self, number: int) -> None:
        if number not in self.memo:
            self.faults.append("recalls what it never remembered")
        self.push(self.memo.get(number, OPAQUE))

    def called(self, module: str, name: str) -> NamedObject:
        return self.named(module, name, "called")

    def named(self, module: Value, name: Value, use: str = "named") -> NamedObject:
        pair = (
            module if isinstance(module, str) and module else COMPUTED,
            name if isinstance(name, str) and name else COMPUTED,
        )
        found = NamedObject(*(_renamed(*pair) if self.protocol < 3 else pair), use)
        return self.note(found)

    def note(self, found: NamedObject) -> NamedObject:
        """Remember a name; one that is called counts for more than one that only stands there."""
        known = self.names.get((found.module, found.name))
        if known is None or (known.use == "named" and found.use != "named"):
            if len(self.names) >= MAX_NAMES:
                raise IntegrityError(f"names more than {MAX_NAMES} things")
            self.names[found.module, found.name] = found
        return found

    def state(self, key: str, value: Value) -> None:
        """One item of an object's state: what it says of its making is kept."""
        if key in VERSIONS and isinstance(value, str) and len(self.said) < MAX_SAID:
            where = f"byte {self.tape.position} of the pickle"
            self.said.setdefault((key, value), Description(VERSIONS[key], value, where))
        elif key == FEATURES and type(value) is int and len(self.features) < MAX_SAID:
            self.features.add(value)
        elif key == FEATURE_NAMES and value is not None:
            self.framed = True

    def call(self, what: Value, arguments: Value) -> None:
        if isinstance(what, NamedObject):
            self.note(NamedObject(what.module, what.name, "called"))
        self.push(MadeObject(what, arguments if isinstance(arguments, tuple) else ()))

    def build(self, state: Value) -> None:
        """BUILD: the state of an object; where that is joblib's wrapper of an array, the array's bytes follow."""
        made = self.top()
        if not isinstance(made, MadeObject):
            return
        made.state = state
        if any(is_named(made.what, module, "NumpyArrayWrapper") for module in JOBLIB):
            self.arrays = True
            self.array(made)

    def array(self, made: MadeObject) -> None:
        if not isinstance(made.state, dict):
            self.faults.append("has an array of joblib's whose shape it hides")
            return
        size = array_bytes(made.state, dtype_of(made.state.get("dtype")))
        if size is None:
            self._nested()
            return
        if isinstance(made.state.get("numpy_array_alignment_bytes"), int):
            self.tape.skip(self.tape.read(1)[0])
        self.tape.skip(size)

    def _nested(self) -> None:
        """An array of objects: its bytes are a pickle of their own, on the same tape."""
        if self.depth >= MAX_NESTED:
            raise IntegrityError(f"has pickles within pickles, more than {MAX_NESTED} deep")
        inner = interpret(self.tape, depth=self.depth + 1)
        for each in inner.names:
            self.note(each)
        for said in inner.said:
            self.said.setdefault(("", f"{said.package} {said.version}"), said)
        self.features |= {inner.features} if inner.features else set()
        self.framed |= inner.framed
        self.faults.extend(inner.faults)
        if not inner.whole:
            raise IntegrityError("has an array of objects that is cut short")


class _Plain(_Machine):
    """The machine that knows nothing of joblib."""

    def array(self, made: MadeObject) -> None:
        return None


def _renamed(module: str, name: str) -> tuple[str, str]:
    """What the names of Python 2 are today, as the real machine maps them below protocol 3."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[module, name]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name
