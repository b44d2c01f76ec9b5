"""What a pickle would call, found by running its opcodes over values that stand for values. Nothing is imported, nothing is made.

The machine follows stack, marks and memo as the real one does, because a name may be put together far from where it is used. Where the
program does something that the real machine would not survive, it goes on with what it has, and the fault is told: a reader that stops
early can be shown a harmless beginning.
"""

from __future__ import annotations

import _compat_pickle
from collections.abc import Callable

from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.models.arrays import array_bytes, dtype_of
from modelcrate_layers.models.opcodes import ARGUMENTS, OPAQUE
from modelcrate_layers.models.seen import COMPUTED, Made, Named, Said, Seen, is_named
from modelcrate_layers.models.tape import Tape

MAX_STACK = 1 << 20
MAX_MEMO = 1 << 23
"""How many values are followed; models have some hundred thousand."""

MAX_NAMES = 10_000
MAX_ITEMS = 16
"""Tuples and dicts of more members are no arguments that matter here."""

VERSIONS = {"_sklearn_version": "scikit-learn"}
"""Keys under which objects keep the version of the package that pickled them."""

FEATURES = "n_features_in_"
"""Where scikit-learn's estimators keep how many features they were fitted with."""

MAX_SAID = 16

MAX_NESTED = 8
"""How deep one pickle may stand in another's arrays."""

Value = object
_MARK = object()


class Faults(list[str]):
    """What was wrong, as the run goes on."""


class Strict(Faults):
    """The first fault ends the run, as it would end the real machine."""

    def append(self, what: str) -> None:
        raise IntegrityError(what)


def look(tape: Tape, faults: Faults | None = None, depth: int = 0) -> Seen:
    """Read one pickle, as joblib would, up to its end. It raises nothing: a broken pickle is a fact about it."""
    return _run(_Machine(tape, Faults() if faults is None else faults, depth))


def look_plain(tape: Tape) -> Seen:
    """Read one pickle as `pickle.load` would: what joblib takes for an array are opcodes, too, and the first fault is the end."""
    return _run(_Plain(tape, Strict(), 0))


def _run(machine: _Machine) -> Seen:
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
    return Seen(names, whole, told, machine.protocol, machine.arrays, tuple(machine.said.values()), features)


class _Machine:
    """Stack, marks and memo. Not a value: it is a run."""

    def __init__(self, tape: Tape, faults: Faults, depth: int) -> None:
        self.tape, self.faults, self.depth = tape, faults, depth
        self.stack: list[Value] = []
        self.memo: dict[int, Value] = {}
        self.names: dict[tuple[str, str], Named] = {}
        self.said: dict[tuple[str, str], Said] = {}
        self.features: set[int] = set()
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
            act = _ACTS.get(code)
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
            if self.stack[at] is _MARK:
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

    def named(self, module: Value, name: Value, use: str = "named") -> Named:
        pair = (
            module if isinstance(module, str) and module else COMPUTED,
            name if isinstance(name, str) and name else COMPUTED,
        )
        found = Named(*(_renamed(*pair) if self.protocol < 3 else pair), use)
        return self.note(found)

    def note(self, found: Named) -> Named:
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
            self.said.setdefault((key, value), Said(VERSIONS[key], value, where))
        elif key == FEATURES and type(value) is int and len(self.features) < MAX_SAID:
            self.features.add(value)

    def call(self, what: Value, arguments: Value) -> None:
        if isinstance(what, Named):
            self.note(Named(what.module, what.name, "called"))
        self.push(Made(what, arguments if isinstance(arguments, tuple) else ()))

    def build(self, state: Value) -> None:
        """BUILD: the state of an object; where that is joblib's wrapper of an array, the array's bytes follow."""
        made = self.top()
        if not isinstance(made, Made):
            return
        made.state = state
        if is_named(made.what, "joblib.numpy_pickle", "NumpyArrayWrapper"):
            self.arrays = True
            self.array(made)

    def array(self, made: Made) -> None:
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
        inner = look(self.tape, depth=self.depth + 1)
        for each in inner.names:
            self.note(each)
        for said in inner.said:
            self.said.setdefault(("", f"{said.package} {said.version}"), said)
        self.features |= {inner.features} if inner.features else set()
        self.faults.extend(inner.faults)
        if not inner.whole:
            raise IntegrityError("has an array of objects that is cut short")


class _Plain(_Machine):
    """The machine that knows nothing of joblib."""

    def array(self, made: Made) -> None:
        return None


def _renamed(module: str, name: str) -> tuple[str, str]:
    """What the names of Python 2 are today, as the real machine maps them below protocol 3."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[module, name]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


def _proto(machine: _Machine, version: Value) -> None:
    assert isinstance(version, int)
    machine.protocol = version


def _global(machine: _Machine, pair: Value) -> None:
    assert isinstance(pair, tuple)
    machine.push(machine.named(*pair))


def _stack_global(machine: _Machine, _: Value) -> None:
    name, module = machine.pop(), machine.pop()
    machine.push(machine.named(module, name))


def _reduce(machine: _Machine, _: Value) -> None:
    arguments, what = machine.pop(), machine.pop()
    machine.call(what, arguments)


def _newobj_ex(machine: _Machine, _: Value) -> None:
    machine.pop()
    _reduce(machine, None)


def _obj(machine: _Machine, _: Value) -> None:
    items = machine.items()
    machine.call(items[0] if items else OPAQUE, tuple(items[1:]))


def _inst(machine: _Machine, pair: Value) -> None:
    assert isinstance(pair, tuple)
    arguments = tuple(machine.items())
    machine.call(machine.named(*pair), arguments)


def _build(machine: _Machine, _: Value) -> None:
    machine.build(machine.pop())


def _extension(machine: _Machine, code: Value) -> None:
    """EXT1 to EXT4: a number in a registry of the process that will load it; nobody can say what it means there."""
    machine.push(machine.named("copyreg", f"extension {code}", "called"))


def _tuple(size: int) -> Callable[[_Machine, Value], None]:
    def act(machine: _Machine, _: Value) -> None:
        items = [machine.pop() for _ in range(size)]
        machine.push(tuple(reversed(items)))

    return act


def _tuple_marked(machine: _Machine, _: Value) -> None:
    items = machine.items()
    machine.push(tuple(items) if len(items) <= MAX_ITEMS else OPAQUE)


def _set_items(machine: _Machine, items: list[Value]) -> None:
    target = machine.top()
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=False):
            if isinstance(key, str):
                machine.state(key, value)
                if len(target) < MAX_ITEMS:
                    target[key] = value


def _setitem(machine: _Machine, _: Value) -> None:
    value, key = machine.pop(), machine.pop()
    _set_items(machine, [key, value])


def _marked_dict(machine: _Machine, _: Value) -> None:
    items = machine.items()
    machine.push({})
    _set_items(machine, items)


def _drop_items(machine: _Machine, _: Value) -> None:
    """APPENDS and ADDITEMS: what goes into a list or a set is not followed there."""
    machine.items()


def _made_of_items(machine: _Machine, _: Value) -> None:
    machine.items()
    machine.push(OPAQUE)


def _pop(machine: _Machine, _: Value) -> None:
    machine.pop()


def _opaque(machine: _Machine, _: Value) -> None:
    machine.push(OPAQUE)


def _replace_top(machine: _Machine, _: Value) -> None:
    machine.pop()
    machine.push(OPAQUE)


def _constant(value: Value) -> Callable[[_Machine, Value], None]:
    return lambda machine, _: machine.push(value)


def _put(machine: _Machine, number: Value) -> None:
    assert isinstance(number, int)
    machine.keep(number, machine.top())


def _get(machine: _Machine, number: Value) -> None:
    assert isinstance(number, int)
    machine.recall(number)


def _same(machine: _Machine, _: Value) -> None:
    return None


_ACTS: dict[int, Callable[[_Machine, Value], None]] = {
    0x80: _proto,
    0x95: _same,
    ord("("): _constant(_MARK),
    ord("0"): _pop,
    ord("1"): _drop_items,
    ord("2"): lambda machine, _: machine.push(machine.top()),
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord(")"): _constant(()),
    0x85: _tuple(1),
    0x86: _tuple(2),
    0x87: _tuple(3),
    ord("t"): _tuple_marked,
    ord("]"): _opaque,
    0x8F: _opaque,
    ord("l"): _made_of_items,
    0x91: _made_of_items,
    ord("a"): _pop,
    ord("e"): _drop_items,
    0x90: _drop_items,
    ord("}"): lambda machine, _: machine.push({}),
    ord("d"): _marked_dict,
    ord("s"): _setitem,
    ord("u"): lambda machine, _: _set_items(machine, machine.items()),
    ord("c"): _global,
    0x93: _stack_global,
    ord("R"): _reduce,
    0x81: _reduce,
    0x92: _newobj_ex,
    ord("o"): _obj,
    ord("i"): _inst,
    ord("b"): _build,
    0x82: _extension,
    0x83: _extension,
    0x84: _extension,
    ord("p"): _put,
    ord("q"): _put,
    ord("r"): _put,
    ord("g"): _get,
    ord("h"): _get,
    ord("j"): _get,
    0x94: lambda machine, _: machine.keep(len(machine.memo), machine.top()),
    ord("P"): _opaque,
    ord("Q"): _replace_top,
    0x97: _opaque,
    0x98: _same,
}
"""What each opcode does to the machine; those that are not here push their argument."""
