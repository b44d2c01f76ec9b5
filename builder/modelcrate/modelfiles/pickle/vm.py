"""What each opcode of a pickle does to the machine that follows it (pickletools.py of CPython, protocols 0 to 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from modelcrate.modelfiles.pickle.opcodes import OPAQUE

MAX_ITEMS = 16
"""Tuples and dicts of more members are no arguments that matter here."""

MARK = object()
Value = object


class Machine(Protocol):
    """Stack, marks and memo, as far as opcodes see of them."""

    protocol: int
    memo: dict[int, Value]

    def push(self, value: Value) -> None: ...

    def pop(self) -> Value: ...

    def top(self) -> Value: ...

    def items(self) -> list[Value]:
        """What lies above the last mark, which goes with it."""
        ...

    def keep(self, number: int, value: Value) -> None: ...

    def recall(self, number: int) -> None: ...

    def named(self, module: Value, name: Value) -> Value: ...

    def called(self, module: str, name: str) -> Value:
        """Something that is called by being named."""
        ...

    def call(self, what: Value, arguments: Value) -> None: ...

    def build(self, state: Value) -> None: ...

    def state(self, key: str, value: Value) -> None:
        """One item of what may be an object's state."""
        ...


def _proto(machine: Machine, version: Value) -> None:
    assert isinstance(version, int)
    machine.protocol = version


def _global(machine: Machine, pair: Value) -> None:
    assert isinstance(pair, tuple)
    machine.push(machine.named(*pair))


def _stack_global(machine: Machine, _: Value) -> None:
    name, module = machine.pop(), machine.pop()
    machine.push(machine.named(module, name))


def _reduce(machine: Machine, _: Value) -> None:
    arguments, what = machine.pop(), machine.pop()
    machine.call(what, arguments)


def _newobj_ex(machine: Machine, _: Value) -> None:
    machine.pop()
    _reduce(machine, None)


def _obj(machine: Machine, _: Value) -> None:
    items = machine.items()
    machine.call(items[0] if items else OPAQUE, tuple(items[1:]))


def _inst(machine: Machine, pair: Value) -> None:
    assert isinstance(pair, tuple)
    arguments = tuple(machine.items())
    machine.call(machine.named(*pair), arguments)


def _build(machine: Machine, _: Value) -> None:
    machine.build(machine.pop())


def _extension(machine: Machine, code: Value) -> None:
    """EXT1 to EXT4: a number in a registry of the process that will load it; nobody can say what it means there."""
    machine.push(machine.called("copyreg", f"extension {code}"))


def _tuple(size: int) -> Callable[[Machine, Value], None]:
    def act(machine: Machine, _: Value) -> None:
        items = [machine.pop() for _ in range(size)]
        machine.push(tuple(reversed(items)))

    return act


def _tuple_marked(machine: Machine, _: Value) -> None:
    items = machine.items()
    machine.push(tuple(items) if len(items) <= MAX_ITEMS else OPAQUE)


def _set_items(machine: Machine, items: list[Value]) -> None:
    target = machine.top()
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=False):
            if isinstance(key, str):
                machine.state(key, value)
                if len(target) < MAX_ITEMS:
                    target[key] = value


def _setitem(machine: Machine, _: Value) -> None:
    value, key = machine.pop(), machine.pop()
    _set_items(machine, [key, value])


def _marked_dict(machine: Machine, _: Value) -> None:
    items = machine.items()
    machine.push({})
    _set_items(machine, items)


def _drop_items(machine: Machine, _: Value) -> None:
    """APPENDS and ADDITEMS: what goes into a list or a set is not followed there."""
    machine.items()


def _made_of_items(machine: Machine, _: Value) -> None:
    machine.items()
    machine.push(OPAQUE)


def _pop(machine: Machine, _: Value) -> None:
    machine.pop()


def _opaque(machine: Machine, _: Value) -> None:
    machine.push(OPAQUE)


def _replace_top(machine: Machine, _: Value) -> None:
    machine.pop()
    machine.push(OPAQUE)


def _constant(value: Value) -> Callable[[Machine, Value], None]:
    return lambda machine, _: machine.push(value)


def _put(machine: Machine, number: Value) -> None:
    assert isinstance(number, int)
    machine.keep(number, machine.top())


def _get(machine: Machine, number: Value) -> None:
    assert isinstance(number, int)
    machine.recall(number)


def _same(machine: Machine, _: Value) -> None:
    return None


OPCODE_ACTIONS: dict[int, Callable[[Machine, Value], None]] = {
    0x80: _proto,
    0x95: _same,
    ord("("): _constant(MARK),
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

NEEDY = frozenset(b"012abdeghijlopqrstuQR\x81\x85\x86\x87\x90\x91\x92\x93\x94")
"""Opcodes that take from the stack, from a mark or from the memo: with none of them does a pickle begin that the real machine reads."""
