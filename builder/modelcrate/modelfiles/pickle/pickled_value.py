"""What a pickle is, when it is loaded: an object of a class, or a container with its parts. Follows from the stand-ins of the interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from modelcrate.modelfiles.pickle.findings import MadeDict, MadeList, MadeObject, NamedObject
from modelcrate.modelfiles.pickle.vm import MAX_LIST
from modelcrate_layers.frozen import dataclass

MAX_PARTS = 32
"""Parts of a container that are told."""

_REBUILT = frozenset({"copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__"})
"""Functions that make an object of the class which is their first argument."""


@dataclass(frozen=True, slots=True)
class PickledValue:
    """A pickled value.

    Attributes:
        kind: `object`, `dict`, `list`, `tuple`, `name` (a class or function itself), `plain` (a text, a number) or empty for an unknown one.
        name: The dotted name of its class, or of what makes it; of a name, that.
        parts: The parts of a container: the key or the number of each, and its class, or its kind. Of a pipeline its steps.
        off: The attributes of an object that are False.
    """

    kind: str = ""
    name: str = ""
    parts: tuple[tuple[str, str], ...] = ()
    off: frozenset[str] = frozenset()


def describe(value: object) -> PickledValue:
    """Returns what the value on top of the interpreter's stack stands for. Of its parts only the kinds are looked at, however deep they are."""
    kind, name = _kind_of(value)
    match value:
        case MadeObject():
            state = value.state if isinstance(value.state, MadeDict) else MadeDict()
            off = frozenset(key for key, each in state.items() if each is False)
            return PickledValue(kind, name, tuple(_steps(state.get("steps"))), off)
        case MadeDict():
            return PickledValue(kind, parts=tuple((key, _told(each)) for key, each in islice(value.items(), MAX_PARTS)))
        case MadeList() | tuple():
            return PickledValue(kind, parts=tuple((str(at), _told(each)) for at, each in enumerate(value[:MAX_PARTS])))
    return PickledValue(kind, name)


def _kind_of(value: object) -> tuple[str, str]:
    """Returns the kind of a value, and the name of its class where it has one."""
    match value:
        case MadeObject():
            return "object", _class_of(value)
        case MadeDict():
            return "dict", ""
        case MadeList():
            return "list", ""
        case tuple():
            return "tuple", ""
        case NamedObject():
            return "name", str(value)
        case str() | int() | None:
            return "plain", ""
    return "", ""


def _steps(value: object) -> Iterator[tuple[str, str]]:
    """Yields the steps of a pipeline: a list of names and estimators."""
    if isinstance(value, MadeList) and len(value) < MAX_LIST:
        for each in value:
            if isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], str):
                yield each[0], _told(each[1])


def _told(value: object) -> str:
    kind, name = _kind_of(value)
    return name or kind


def _class_of(made: MadeObject) -> str:
    what, arguments = made.what, made.arguments or ()
    if isinstance(what, NamedObject) and (str(what) in _REBUILT or what.name.startswith("__pyx_unpickle_")):
        given = arguments[0] if arguments else None
        return str(given) if isinstance(given, NamedObject) else str(what)
    return str(what) if isinstance(what, NamedObject) else ""
