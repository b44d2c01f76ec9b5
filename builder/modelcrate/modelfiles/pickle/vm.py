"""The effect of each opcode of a pickle on the machine that follows it (pickletools.py of CPython, protocols 0 to 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from modelcrate.modelfiles.pickle.findings import MadeDict, MadeList, Use
from modelcrate.modelfiles.pickle.opcodes import OPAQUE, OPAQUE_TEXT

MAX_TUPLE = 16
"""Longer tuples are no arguments that matter here."""

MAX_DICT = 256
"""Keys of a dict that are kept: more than any object's state that matters here."""

MAX_LIST = 32
"""Items of a list that are kept."""

MARK = object()
Value = object


class Machine(Protocol):
    """Stack, marks and memo, as far as opcodes use them."""

    protocol: int
    memo: dict[int, Value]

    def push(self, value: Value) -> None:
        """Puts a value on the stack."""
        ...

    def pop(self) -> Value:
        """Takes the top value from the stack."""
        ...

    def top(self) -> Value:
        """Returns the top value of the stack, which stays."""
        ...

    def items(self) -> list[Value]:
        """Takes what is above the last mark, and the mark."""
        ...

    def keep(self, number: int, value: Value) -> None:
        """Stores a value in the memo."""
        ...

    def recall(self, number: int) -> None:
        """Pushes a value of the memo."""
        ...

    def frame(self, size: int) -> None:
        """Begins a frame of `size` bytes (FRAME, PEP 3154)."""
        ...

    def named(self, module: Value, name: Value) -> Value:
        """Returns the stand-in for an imported name, and notes the name."""
        ...

    def call(self, what: Value, arguments: Value, use: Use) -> None:
        """Calls a stand-in: notes the use of its name, and pushes a stand-in for the result."""
        ...

    def build(self, state: Value) -> None:
        """Sets the state of the object on top of the stack (BUILD)."""
        ...

    def item(self, key: str, value: Value) -> None:
        """Notes one item of what may be an object's state."""
        ...

    def persistent(self, number: Value) -> None:
        """Pushes a stand-in for the object with this persistent id (PERSID, BINPERSID)."""
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
    machine.call(what, arguments, Use.CALLED)


def _newobj(machine: Machine, _: Value) -> None:
    arguments, what = machine.pop(), machine.pop()
    machine.call(what, arguments, Use.MADE)


def _newobj_ex(machine: Machine, _: Value) -> None:
    machine.pop()
    arguments, what = machine.pop(), machine.pop()
    machine.call(what, arguments if arguments != () else OPAQUE, Use.MADE)


def _obj(machine: Machine, _: Value) -> None:
    items = machine.items()
    machine.call(items[0] if items else OPAQUE, tuple(items[1:]), Use.CALLED)


def _inst(machine: Machine, pair: Value) -> None:
    assert isinstance(pair, tuple)
    arguments = tuple(machine.items())
    machine.push(machine.named(*pair))
    machine.call(machine.pop(), arguments, Use.CALLED)


def _build(machine: Machine, _: Value) -> None:
    machine.build(machine.pop())


def _extension(machine: Machine, code: Value) -> None:
    """EXT1 to EXT4: a number in a registry (copyreg) of the process that loads the file; what it means is not in the file."""
    machine.push(machine.named("copyreg", f"extension {code}"))


def _tuple(size: int) -> Callable[[Machine, Value], None]:
    def act(machine: Machine, _: Value) -> None:
        items = [machine.pop() for _ in range(size)]
        machine.push(tuple(reversed(items)))

    return act


def _tuple_marked(machine: Machine, _: Value) -> None:
    items = machine.items()
    machine.push(tuple(items) if len(items) <= MAX_TUPLE else OPAQUE)


def _set_items(machine: Machine, items: list[Value]) -> None:
    target = machine.top()
    if not isinstance(target, MadeDict):
        return
    for key, value in zip(items[::2], items[1::2], strict=False):
        if not isinstance(key, str):
            target.complete = False
            continue
        machine.item(key, value)
        if key in target or len(target) >= MAX_DICT:
            target.complete = False
        else:
            target[key] = value


def _setitem(machine: Machine, _: Value) -> None:
    value, key = machine.pop(), machine.pop()
    _set_items(machine, [key, value])


def _marked_dict(machine: Machine, _: Value) -> None:
    items = machine.items()
    machine.push(MadeDict())
    _set_items(machine, items)


def _drop_items(machine: Machine, _: Value) -> None:
    """ADDITEMS and POP_MARK: the items of sets are not kept."""
    machine.items()


def _append(machine: Machine, _: Value) -> None:
    _extend(machine, [machine.pop()])


def _extend(machine: Machine, items: list[Value]) -> None:
    target = machine.top()
    if isinstance(target, MadeList):
        target += items[: MAX_LIST - len(target)]


def _marked_list(machine: Machine, _: Value) -> None:
    machine.push(MadeList(machine.items()[:MAX_LIST]))


def _made_of_items(machine: Machine, _: Value) -> None:
    machine.items()
    machine.push(OPAQUE)


def _pop(machine: Machine, _: Value) -> None:
    machine.pop()


def _opaque(machine: Machine, _: Value) -> None:
    machine.push(OPAQUE)


def _persistent(machine: Machine, _: Value) -> None:
    machine.persistent(machine.pop())
    machine.push(OPAQUE_TEXT)


def _frame(machine: Machine, size: Value) -> None:
    assert isinstance(size, int)
    machine.frame(size)


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
    0x95: _frame,
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
    ord("]"): lambda machine, _: machine.push(MadeList()),
    0x8F: _opaque,
    ord("l"): _marked_list,
    0x91: _made_of_items,
    ord("a"): _append,
    ord("e"): lambda machine, _: _extend(machine, machine.items()),
    0x90: _drop_items,
    ord("}"): lambda machine, _: machine.push(MadeDict()),
    ord("d"): _marked_dict,
    ord("s"): _setitem,
    ord("u"): lambda machine, _: _set_items(machine, machine.items()),
    ord("c"): _global,
    0x93: _stack_global,
    ord("R"): _reduce,
    0x81: _newobj,
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
    ord("P"): _constant(OPAQUE_TEXT),
    ord("Q"): _persistent,
    0x97: _opaque,
    0x98: _same,
}
"""What each opcode does to the machine. An opcode that is not here pushes its argument."""
